// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IdentityRegistry} from "./IdentityRegistry.sol";

/// What the registry's owner may upgrade it to.
contract IdentityRegistryNext is IdentityRegistry {
    function getVersion() external pure override returns (string memory) {
        return "3.0.0";
    }
}
