//! The first topics of the registry's events, as read from the deployed registries. They are not
//! computed here, so that the tests do not share a mistake with the code.

use alloy::primitives::{B256, b256};

pub const REGISTERED: B256 =
    b256!("ca52e62c367d81bb2e328eb795f7c7ba24afb478408a26c0e201d155c449bc4a");
pub const URI_UPDATED: B256 =
    b256!("3a2c7fffc2cba7582c690e3b82c453ea02a308326a98a3ad7576c606336409fb");
pub const METADATA_SET: B256 =
    b256!("2c149ed548c6d2993cd73efe187df6eccabe4538091b33adbd25fafdb8a1468b");
pub const TRANSFER: B256 =
    b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
pub const METADATA_UPDATE: B256 =
    b256!("f8e1a15aba9398e019f0b49df1a4fde98ee17ae345cb5f6b5e2c27f5033e8ce7");
