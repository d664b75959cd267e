//! What no type can say of anchoring's code: one place makes reservations, one place signs, and no
//! state is read unpinned.

use std::{collections::BTreeSet, fs, path::Path};

use syn::{
    Expr, ExprLit, ExprMethodCall, ExprStruct, ItemImpl, Lit,
    visit::{self, Visit},
};

/// Requests for state of the chain: what it is depends on the block that is asked about.
const STATE: [&str; 7] = [
    "eth_getBalance",
    "eth_getCode",
    "eth_getStorageAt",
    "eth_getTransactionCount",
    "eth_getProof",
    "eth_getAccount",
    "eth_call",
];
/// What names a block among the parameters of a request: the hash of one that was read, or a tag
/// that says which one is meant.
const PINS: [&str; 4] = ["blockHash", "newest", "\"latest\"", "\"pending\""];

/// What one file does that only some may.
#[derive(Debug, Default, PartialEq, Eq)]
struct Deeds {
    /// `Reservation { … }`, however it is spelled.
    reserves: usize,
    /// `receiver.sign…(…)`, as receiver and method.
    signs: BTreeSet<(String, String)>,
    /// `….ask("eth_send…", …)`
    sends: usize,
    /// Reads of state that no block is named for.
    unpinned: Vec<String>,
    in_reservation: bool,
}

fn deeds(source: &str) -> Deeds {
    let mut deeds = Deeds::default();
    deeds.visit_file(&syn::parse_file(source).unwrap());
    deeds.in_reservation = false;
    deeds
}

fn last_word(expr: &Expr) -> String {
    if let Expr::Path(path) = expr {
        path.path.segments.last().unwrap().ident.to_string()
    } else if let Expr::Field(field) = expr
        && let syn::Member::Named(name) = &field.member
    {
        name.to_string()
    } else if let Expr::MethodCall(call) = expr {
        call.method.to_string()
    } else if let Expr::Reference(inner) = expr {
        last_word(&inner.expr)
    } else if let Expr::Paren(inner) = expr {
        last_word(&inner.expr)
    } else {
        String::new()
    }
}

/// The JSON-RPC method that a call asks for, if it is spelled out.
fn asked(call: &ExprMethodCall) -> Option<String> {
    // A comparison asks nobody.
    if call.method == "starts_with" {
        return None;
    }
    let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = call.args.first()? else { return None };
    text.value().starts_with("eth_").then(|| text.value())
}

/// Whether a request names a block. [`AtBlock::state`] names its own for every request.
///
/// [`AtBlock::state`]: crate::anchor::evm::AtBlock
fn is_pinned(call: &ExprMethodCall) -> bool {
    let names_a_block = |params: &Expr| {
        let Expr::Macro(params) = params else { return false };
        let text = params.mac.tokens.to_string();
        PINS.iter().any(|pin| text.contains(pin))
    };
    call.method == "state" || call.args.iter().skip(1).any(names_a_block)
}

impl<'ast> Visit<'ast> for Deeds {
    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        let of = matches!(&*item.self_ty, syn::Type::Path(path) if path.path.segments.last().unwrap().ident == "Reservation");
        let outer = std::mem::replace(&mut self.in_reservation, of);
        visit::visit_item_impl(self, item);
        self.in_reservation = outer;
    }

    fn visit_expr_struct(&mut self, made: &'ast ExprStruct) {
        let name = &made.path.segments.last().unwrap().ident;
        if name == "Reservation" || (name == "Self" && self.in_reservation) {
            self.reserves += 1;
        }
        visit::visit_expr_struct(self, made);
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        let method = call.method.to_string();
        if method == "sign" || method.starts_with("sign_") {
            self.signs.insert((last_word(&call.receiver), method.clone()));
        }
        if let Some(request) = asked(call) {
            self.sends += usize::from(request.starts_with("eth_send"));
            if STATE.contains(&request.as_str()) && !is_pinned(call) {
                self.unpinned.push(request);
            }
        }
        visit::visit_expr_method_call(self, call);
    }
}

/// Every file below `src`, by its path there.
fn all_deeds() -> Vec<(String, Deeds)> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let mut folders = vec![root.to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.iter().all(|part| part != "tests" && part != "tests.rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.push((name, deeds(&fs::read_to_string(&path).unwrap())));
            }
        }
    }
    found
}

#[test]
fn only_the_decision_makes_a_reservation_and_only_a_reservation_is_signed() {
    let all = all_deeds();
    let reserving: Vec<_> = all.iter().filter(|(_, deeds)| deeds.reserves > 0).collect();
    assert!(matches!(reserving[..], [(name, _)] if name == "anchor/plan.rs"), "{reserving:?}");
    let mut signing: Vec<_> = all
        .iter()
        .flat_map(|(name, deeds)| {
            deeds.signs.iter().map(move |(by, how)| format!("{name}: {by}.{how}"))
        })
        .collect();
    signing.sort();
    let expected = [
        "anchor/reconcile/execute.rs: signer.sign",
        "anchor/signer.rs: backend.sign",
        "anchor/signer/kms.rs: kms.sign",
        "anchor/signer/kms/aws.rs: key.sign_digest",
        "anchor/signer/local.rs: key.sign_hash_sync",
    ];
    assert_eq!(signing, expected);
    let sending: Vec<_> = all.iter().filter(|(_, deeds)| deeds.sends > 0).collect();
    assert!(
        matches!(sending[..], [(name, Deeds { sends: 1, .. })] if name == "anchor/evm/head.rs"),
        "{sending:?}"
    );
}

#[test]
fn no_state_of_a_chain_is_read_without_its_block() {
    for (name, deeds) in all_deeds() {
        assert_eq!(deeds.unpinned, Vec::<String>::new(), "{name}");
    }
    let named = all_deeds().iter().filter(|(name, _)| name.starts_with("anchor/evm/")).count();
    assert!(named >= 5, "they were looked for where they are");
}

#[test]
fn a_breach_of_these_fences_is_found() {
    let unpinned = [
        (
            "a count",
            r#"async fn f() { e.ask::<U64>("eth_getTransactionCount", json!([a])).await }"#,
        ),
        (
            "a balance",
            r#"async fn f() { let b: U256 = self.e.ask("eth_getBalance", json!([a])).await?; }"#,
        ),
        ("a code", r#"fn f() { at.endpoint().ask("eth_getCode", params) }"#),
        ("a slot", r#"fn f() { x.ask("eth_getStorageAt", json!([a, slot])) }"#),
        ("a call", r#"async fn f() { e.ask("eth_call", json!([{ "to": r, "input": i }])).await }"#),
        (
            "within an argument",
            r#"fn f() { g(e.ask("eth_call", json!([c])), json!([{ "blockHash": h }])) }"#,
        ),
    ];
    for (case, source) in unpinned {
        assert_eq!(deeds(source).unpinned.len(), 1, "{case}");
    }
    let pinned = r#"fn f() {
        (e.ask("eth_getBalance", json!([a, newest])), e.ask("eth_call", json!([c, "latest"])),
         at.state("eth_call", params), e.ask("eth_getCode", json!([a, { "blockHash": h }])))
    }"#;
    assert_eq!(deeds(pinned).unpinned, Vec::<String>::new());
    assert_eq!(deeds("fn f() { Reservation { nonce, purpose } }").reserves, 1);
    assert_eq!(deeds("fn f() { plan::Reservation { nonce, purpose } }").reserves, 1);
    assert_eq!(
        deeds("impl Reservation { fn f() -> Self { Self { nonce, purpose } } }").reserves,
        1
    );
    assert_eq!(deeds("impl Slot { fn f() -> Self { Self { nonce } } }").reserves, 0);
    let signed = deeds("fn f() { self.key.sign_hash_sync(&h); signer.sign(r, u) }").signs;
    assert_eq!(signed.len(), 2);
    let sent = r#"async fn f() { e.ask::<Value>("eth_sendRawTransaction", json!([raw])).await }"#;
    assert_eq!(deeds(sent).sends, 1);
}
