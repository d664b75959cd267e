//! scrypt against the library, and the bounds of what is tried.

use super::Params;

/// Where the library has an opinion, both agree.
#[test]
fn the_function_beyond_the_rfc_is_the_one_of_the_rfc() {
    for (n, r, p) in [(2, 1, 1), (16, 1, 1), (256, 8, 2), (64, 3, 5), (4096, 1, 1)] {
        let params = Params::new(n, r, p).unwrap();
        let (mut library, mut own) = ([0; 70], [0; 70]);
        params.derive(b"pleaseletmein", b"SodiumChloride", &mut library);
        params.derive_beyond_the_rfc(b"pleaseletmein", b"SodiumChloride", &mut own);
        assert_eq!(library, own, "n {n}, r {r}, p {p}");
    }
}

#[test]
fn what_would_cost_hours_or_gigabytes_is_not_tried() {
    let refused = [
        (0, 8, 1),
        (1, 8, 1),
        (1000, 8, 1),
        (1 << 40, 8, 1),
        (1 << 18, 8, 9),
        (1 << 18, 0, 1),
        (1 << 18, 8, 0),
        (u64::MAX, 8, 1),
        (1 << 18, u32::MAX, u32::MAX),
    ];
    for (n, r, p) in refused {
        assert_eq!(Params::new(n, r, p), None, "n {n}, r {r}, p {p}");
    }
    for (n, r, p) in [(1 << 18, 8, 1), (1 << 18, 1, 8), (4096, 8, 6), (1 << 21, 8, 1)] {
        assert!(Params::new(n, r, p).is_some(), "n {n}, r {r}, p {p}");
    }
}
