use super::*;

/// Of a self-signed certificate that is valid until 2046-11-24T07:51:33Z.
const CERTIFICATE: &str = include_str!("tests/certificate.hex");

#[test]
fn the_end_of_a_certificate_is_read() {
    let der = alloy::primitives::hex::decode(CERTIFICATE.trim()).unwrap();
    let until = certificate_expiry(&der).unwrap();
    assert_eq!(until, "2046-11-24T07:51:33Z".parse::<Timestamp>().unwrap());
    assert_eq!(certificate_expiry(b"no certificate"), None);
}
