//! The table of deployments: each chain and alias once, and every known first block.

use std::collections::{BTreeMap, BTreeSet};

use crate::registration::chains;

#[test]
fn every_known_first_block_is_in_the_table() {
    // A block after the deployment would hide events. Those of the subgraph's configuration are
    // known to be served, so the table's are not later.
    let subgraph: BTreeMap<u64, u64> = [
        (1, 24_339_924),
        (56, 79_031_671),
        (97, 78_270_834),
        (137, 82_458_528),
        (143, 52_952_898),
        (8_453, 41_663_799),
        (10_143, 10_392_352),
        (84_532, 37_174_254),
        (42_161, 428_895_443),
        (421_614, 239_945_838),
        (11_155_111, 9_980_000),
    ]
    .into();
    let table: BTreeMap<u64, u64> =
        chains::CHAINS.iter().filter_map(|chain| Some((chain.id, chain.deployed?))).collect();
    for (chain, block) in subgraph {
        assert!(table[&chain] <= block, "{chain}");
    }
    assert_eq!((table.len(), chains::CHAINS.len()), (30, 53), "docs/chains.md names the others");
    let ids: Vec<_> = chains::CHAINS.iter().map(|chain| chain.id).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "each chain once");
    let names: Vec<_> = chains::CHAINS.iter().flat_map(|chain| chain.aliases).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "each alias once");
}
