//! The closed list of lint codes, each with its severity, meaning, fix and the readers concerned.

use serde::{Serialize, Serializer};

use crate::offer::closed_list;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// A required part is missing or a part has the wrong type: the document is invalid.
    Error,
    /// A reader rejects the document, or reads something else than was meant.
    Warning,
    /// Worth knowing.
    Info,
}

impl Severity {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

impl Serialize for Severity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

closed_list! {
    /// What can be found in a document.
    LintCode: [4]
    #[cfg(test)]
    ALL

    // The way to the document.
    NotContentAddressed = "NotContentAddressed": "The agentURI is an http or https URL, so its content may change.",
        "Nothing, if the document changes with what is sold. Indexers that read content-addressed documents only need an ipfs: or data: agentURI.",
        "info", "agent0-subgraph, 8004scan";
    PlainHttp = "PlainHttp": "The agentURI, or a redirect from it, is an http URL.",
        "Serve the document over https, and register that URL.",
        "warning", "BackTrackCo, agent0-subgraph, api.8004.dev";
    Redirected = "Redirected": "The URL redirects.",
        "Answer with the document directly, or register the URL at the end of the redirects.",
        "warning", "lucid-agents";
    MediaType = "MediaType": "The Content-Type of the answer is not application/json.",
        "Serve the document as application/json.",
        "info", "agent0-py";
    DataMediaType = "DataMediaType": "The media type of the data: URI is not application/json.",
        "Begin the URI with data:application/json;base64, and nothing else.",
        "warning", "agent0-ts, agent0-py, agent0-subgraph, BackTrackCo, gt8004";
    DataParameters = "DataParameters": "The data: URI has parameters before ;base64.",
        "Begin the URI with data:application/json;base64, and nothing else.",
        "warning", "agent0-subgraph, gt8004";
    DataNotBase64 = "DataNotBase64": "The data: URI holds text that is not base64.",
        "Encode the document as base64 and begin the URI with data:application/json;base64,.",
        "warning", "agent0-ts, agent0-py, agent0-subgraph, gt8004";
    DataCompressed = "DataCompressed": "The data: URI holds a compressed document.",
        "Encode the document without compression. Only 8004scan unpacks it.",
        "warning", "agent0-ts, agent0-py, agent0-subgraph, BackTrackCo, gt8004";
    DataBase64Form = "DataBase64Form": "The base64 of the data: URI uses the URL-safe alphabet, white space, or no padding.",
        "Use standard base64 with padding and without white space.",
        "warning", "agent0-subgraph, BackTrackCo, gt8004";
    DataUnreadable = "DataUnreadable": "The content of the data: URI cannot be decoded.",
        "Encode the document again: base64 of the exact bytes.",
        "error", "agent0-ts, agent0-py, agent0-subgraph, 8004scan, BackTrackCo, gt8004";
    RawJsonUri = "RawJsonUri": "The agentURI is the document itself, not a URI.",
        "Store data:application/json;base64, followed by the document as base64.",
        "warning", "agent0-ts, agent0-py, agent0-subgraph, BackTrackCo, api.8004.dev";

    // The bytes.
    NotUtf8 = "NotUtf8": "The document is not UTF-8.",
        "Save the document as UTF-8.",
        "error", "agent0-ts, agent0-py, agent0-subgraph, 8004scan, BackTrackCo, lucid-agents, aixyz, erc8004-crate, gt8004";
    ByteOrderMark = "ByteOrderMark": "The document begins with a byte order mark.",
        "Save the document without a byte order mark.",
        "warning", "agent0-py, erc8004-crate, gt8004";
    Html = "Html": "The document is HTML where JSON was expected.",
        "Serve the JSON document at this URL. A single-page application often answers every path with its page.",
        "error", "agent0-ts, agent0-py, agent0-subgraph, 8004scan, BackTrackCo, lucid-agents, aixyz, erc8004-crate, gt8004";
    NotJson = "NotJson": "The document is not JSON.",
        "Correct the syntax at the line and column that the message names.",
        "error", "agent0-ts, agent0-py, agent0-subgraph, 8004scan, BackTrackCo, lucid-agents, aixyz, erc8004-crate, gt8004";
    RepeatedKey = "RepeatedKey": "A key occurs more than once in an object, and readers differ in which value they use.",
        "Keep one of the members.",
        "warning", "";
    TooDeep = "TooDeep": "A value is nested more than 64 deep.",
        "Remove the nested value. Readers limit the depth of JSON.",
        "warning", "erc8004-crate";
    LargeDocument = "LargeDocument": "The document is larger than 64 KiB.",
        "Publish fewer or shorter entries.",
        "warning", "lucid-agents";
    VeryLargeDocument = "VeryLargeDocument": "The document is larger than 512 KiB.",
        "Publish fewer or shorter entries.",
        "warning", "lucid-agents, 8004scan, gt8004";
    RootNotObject = "RootNotObject": "The document is not a JSON object.",
        "Make the document one object with type, name, description and services.",
        "error", "agent0-ts, agent0-py, agent0-subgraph, 8004scan, BackTrackCo, lucid-agents, aixyz, erc8004-crate, gt8004";

    // Members of the document.
    TypeMissing = "TypeMissing": "The document has no type.",
        "Add \"type\": \"https://eips.ethereum.org/EIPS/eip-8004#registration-v1\".",
        "error", "8004scan, BackTrackCo, aixyz, ensmetadata, erc8004-crate";
    TypeWrong = "TypeWrong": "type is not the one of ERC-8004. It is compared byte for byte.",
        "Set type to https://eips.ethereum.org/EIPS/eip-8004#registration-v1, with EIPS in capitals and -v1 at the end.",
        "error", "8004scan, BackTrackCo, aixyz, ensmetadata";
    NameMissing = "NameMissing": "The document has no name, or an empty one.",
        "Add a name of 3 to 80 characters.",
        "error", "8004scan, BackTrackCo, aixyz, ensmetadata, erc8004-crate, 8004-mcp";
    NameNotText = "NameNotText": "name is not a string.",
        "Make name a string of 3 to 80 characters.",
        "error", "8004scan, BackTrackCo, aixyz, ensmetadata, erc8004-crate, gt8004";
    NameLength = "NameLength": "name has fewer than 3 or more than 200 characters.",
        "Use a name of 3 to 80 characters.",
        "warning", "ensmetadata";
    DescriptionMissing = "DescriptionMissing": "The document has no description, or an empty one.",
        "Add a description: what the agent does, how it is used, what it costs.",
        "error", "8004scan, BackTrackCo, aixyz, ensmetadata, erc8004-crate, 8004-mcp";
    DescriptionNotText = "DescriptionNotText": "description is not a string.",
        "Make description a string.",
        "error", "8004scan, BackTrackCo, aixyz, ensmetadata, erc8004-crate";
    DescriptionShort = "DescriptionShort": "description has fewer than 10 characters.",
        "Describe the agent in 50 to 500 characters.",
        "warning", "ensmetadata";
    ImageMissing = "ImageMissing": "The document has no image.",
        "Add the https URL of a square PNG, SVG or WebP of at least 512 pixels.",
        "warning", "BackTrackCo, aixyz, ensmetadata";
    ImageEmpty = "ImageEmpty": "image is empty.",
        "Set image to the https URL of a square PNG, SVG or WebP of at least 512 pixels.",
        "warning", "ensmetadata";
    ImageNotText = "ImageNotText": "image is not a string.",
        "Make image a URL in a string, or remove it.",
        "error", "8004scan, BackTrackCo, aixyz, ensmetadata";
    ImageNotUrl = "ImageNotUrl": "image is not an absolute http, https, ipfs, ar or data URL.",
        "Set image to an absolute https URL.",
        "warning", "8004scan, ensmetadata, 8004-mcp";
    ImageEmbedded = "ImageEmbedded": "image is a data: URL.",
        "Serve the image at an https URL. 8004-mcp accepts http, https, ipfs and ar only.",
        "info", "8004-mcp";
    ActiveMissing = "ActiveMissing": "The document does not say whether the agent is active. Some readers assume that it is, others that it is not.",
        "Add \"active\": true.",
        "warning", "agent0-ts, agent0-py, ensmetadata";
    ActiveNotBoolean = "ActiveNotBoolean": "active is not a boolean.",
        "Set active to true or false, without quotes.",
        "error", "8004scan, BackTrackCo, aixyz, 8004-mcp";
    X402SupportMissing = "X402SupportMissing": "The document does not say whether the agent can be paid by x402.",
        "Add x402Support: true or false.",
        "info", "";
    X402SupportNotBoolean = "X402SupportNotBoolean": "x402Support is not a boolean.",
        "Set x402Support to true or false, without quotes.",
        "error", "8004scan, 8004-mcp";
    X402SupportTwice = "X402SupportTwice": "The document has both x402Support and x402support. agent0-ts uses x402support.",
        "Keep x402Support only.",
        "warning", "agent0-ts";
    LegacyX402Support = "LegacyX402Support": "x402support is the spelling of an SDK; ERC-8004 says x402Support.",
        "Rename x402support to x402Support.",
        "warning", "8004-mcp, BackTrackCo, erc8004-crate";
    LegacyEndpoints = "LegacyEndpoints": "The list of services is called endpoints, as before January 2026.",
        "Rename endpoints to services.",
        "warning", "8004scan, BackTrackCo, aixyz, erc8004-crate, gt8004";
    ServicesTwice = "ServicesTwice": "The document has both services and endpoints. Readers of either list see only that one.",
        "Keep services only.",
        "warning", "api.8004.dev, agent0-ts";
    LegacySupportedTrusts = "LegacySupportedTrusts": "supportedTrusts is the spelling of an SDK; ERC-8004 says supportedTrust.",
        "Rename supportedTrusts to supportedTrust.",
        "warning", "8004scan, BackTrackCo, ensmetadata";
    SupportedTrustNotList = "SupportedTrustNotList": "supportedTrust is not a list of strings.",
        "Make supportedTrust a list of reputation, crypto-economic and tee-attestation, or remove it.",
        "error", "8004scan, aixyz, ensmetadata";
    SupportedTrustEmpty = "SupportedTrustEmpty": "supportedTrust is empty.",
        "Remove supportedTrust; its absence means the same.",
        "info", "8004scan";
    UnknownTrustModel = "UnknownTrustModel": "A trust model is not one of reputation, crypto-economic and tee-attestation.",
        "Use only the three trust models that ERC-8004 names.",
        "warning", "ensmetadata, 8004scan";
    UpdatedAtForm = "UpdatedAtForm": "updatedAt is not a whole number of unix seconds.",
        "Set updatedAt to unix seconds, as a number.",
        "warning", "agent0-ts, ensmetadata";
    ReadByAgent0 = "ReadByAgent0": "agent0-ts reads this member instead of asking the chain.",
        "Remove the member, unless agent0-ts is meant to read it.",
        "warning", "agent0-ts";
    SingularMember = "SingularMember": "The member has the singular name of one that ERC-8004 defines.",
        "Use services and registrations, which are lists.",
        "warning", "8004scan";
    MisspelledMember = "MisspelledMember": "The member differs from one that ERC-8004 defines only in case, hyphens or underscores.",
        "Rename it to the name that the message gives.",
        "warning", "";
    ExtraMember = "ExtraMember": "ERC-8004 does not define the member. It is allowed, and readers ignore it.",
        "Nothing. x-<domain>-<name> is a name that no later version will use.",
        "info", "";

    // Services.
    ServicesMissing = "ServicesMissing": "The document has no services.",
        "Add services: a list of objects with name and endpoint.",
        "error", "8004scan, BackTrackCo, aixyz, agent0-py";
    ServicesNotList = "ServicesNotList": "services is not a list.",
        "Make services a list of objects with name and endpoint.",
        "error", "8004scan, BackTrackCo, aixyz, agent0-py, gt8004, erc8004-crate";
    ServicesEmpty = "ServicesEmpty": "services is empty.",
        "Add at least one service, such as web with the URL of a page about the agent.",
        "warning", "BackTrackCo, aixyz";
    ServiceNotObject = "ServiceNotObject": "An entry of services is not an object.",
        "Make each entry an object with name and endpoint.",
        "error", "8004scan, BackTrackCo, aixyz, agent0-ts, agent0-py, gt8004, erc8004-crate";
    ServiceNameMissing = "ServiceNameMissing": "A service has no name, or an empty one.",
        "Add name, such as web, MCP or A2A. A member called type is not read as the name.",
        "error", "agent0-py, BackTrackCo, aixyz, erc8004-crate";
    ServiceNameNotText = "ServiceNameNotText": "The name of a service is not a string.",
        "Make name a string.",
        "error", "agent0-py, BackTrackCo, aixyz, erc8004-crate";
    ServiceEndpointMissing = "ServiceEndpointMissing": "A service has no endpoint, or an empty one.",
        "Add endpoint, an absolute https URL. A member called url or value is not read as the endpoint.",
        "error", "8004scan, agent0-py, BackTrackCo, aixyz, erc8004-crate";
    ServiceEndpointNotText = "ServiceEndpointNotText": "The endpoint of a service is not a string.",
        "Make endpoint one string.",
        "error", "8004scan, agent0-py, BackTrackCo, aixyz, erc8004-crate";
    ServiceVersionNotText = "ServiceVersionNotText": "The version of a service is not a string.",
        "Put the version in quotes, or remove it.",
        "error", "erc8004-crate, aixyz, ensmetadata";
    ServiceTypeAndValue = "ServiceTypeAndValue": "A service has both type and value. agent0-ts then ignores its name and endpoint.",
        "Remove type and value.",
        "warning", "agent0-ts";
    NamesUnknownToAgent0Py = "NamesUnknownToAgent0Py": "agent0-py 1.7.1 refuses the whole document, because it knows only the service names MCP, A2A, ENS, DID, wallet, OASF and agentWallet.",
        "Nothing, unless users of agent0-py must read the document: then publish only names that it knows (--service-names). web and email are names of ERC-8004.",
        "info", "agent0-py";
    CustomServiceName = "CustomServiceName": "ERC-8004 does not define the name of the service. It is allowed.",
        "Nothing. Readers that look services up by protocol do not find it.",
        "info", "";
    ServiceNameCase = "ServiceNameCase": "The name of a service differs from the one that ERC-8004 defines only in case.",
        "Use exactly web, A2A, MCP, OASF, ENS, DID or email.",
        "warning", "agent0-py, ensmetadata, BackTrackCo";
    RepeatedServiceName = "RepeatedServiceName": "A name occurs more than once. agent0-ts uses the first such service, the subgraph the last.",
        "Keep one service of this name.",
        "warning", "agent0-ts, agent0-subgraph";
    RepeatedWeb = "RepeatedWeb": "Several services have the same name that is not a protocol's. Some readers keep one of them.",
        "Nothing, unless only the most important one should remain.",
        "info", "agent0-subgraph";
    ServiceVersionMissing = "ServiceVersionMissing": "An MCP, A2A or OASF service has no version.",
        "Add version: a date for MCP (2025-06-18), x.y.z for A2A (0.3.0), 0.8.0 for OASF.",
        "warning", "ensmetadata, 8004scan";
    ServiceVersionForm = "ServiceVersionForm": "The version of a service does not have the form of its protocol.",
        "Use a date for MCP (2025-06-18), x.y.z for A2A (0.3.0), 0.8.0 for OASF.",
        "info", "8004scan";
    AgentCardPath = "AgentCardPath": "The endpoint of an A2A service is not an agent card under /.well-known/.",
        "Use the URL of the agent card, which ends in /.well-known/agent-card.json.",
        "info", "8004scan";
    AgentWalletEntry = "AgentWalletEntry": "An agentWallet is listed as a service. ERC-8004 has moved it into the registry.",
        "Set the wallet in the registry (setAgentWallet), and remove the entry unless an explorer needs it.",
        "info", "8004scan";
    AgentWalletForm = "AgentWalletForm": "The endpoint of an agentWallet is not a CAIP-10 account.",
        "Use eip155:<chain>:0x…, such as eip155:8453:0x….",
        "warning", "8004scan";
    EndpointNotUrl = "EndpointNotUrl": "The endpoint of a service is not an absolute URL.",
        "Use an absolute https URL.",
        "warning", "aixyz, ensmetadata, 8004scan";
    EndpointIsName = "EndpointIsName": "The endpoint of an ENS, DID, email or agentWallet service is a name, as ERC-8004 wants it; aixyz accepts URLs only.",
        "Nothing, unless users of aixyz must read the document.",
        "info", "aixyz";
    EnsForm = "EnsForm": "The endpoint of an ENS service is not a name such as agent.eth.",
        "Use the bare name in lower case.",
        "warning", "";
    DidForm = "DidForm": "The endpoint of a DID service does not begin with did:.",
        "Use the DID, such as did:web:agents.example.",
        "warning", "";
    EmailForm = "EmailForm": "The endpoint of an email service is not a bare address.",
        "Use the address alone, without mailto:.",
        "warning", "";
    EndpointNotHttps = "EndpointNotHttps": "The endpoint of a service is a URL that is not https.",
        "Serve the endpoint over https. The domain rule of ERC-8004 applies to https only.",
        "warning", "";
    EndpointPlaceholder = "EndpointPlaceholder": "The endpoint of a service still contains a placeholder, such as {id}.",
        "Fill in the placeholder. A buyer calls the endpoint as it is written.",
        "warning", "";
    EndpointUserInfo = "EndpointUserInfo": "The endpoint of a service contains a user name or password.",
        "Remove the credentials, and change the password: the document is public.",
        "warning", "";
    EndpointNotPublic = "EndpointNotPublic": "The endpoint of a service cannot be reached from the internet.",
        "Use a public host name.",
        "warning", "api.8004.dev";
    ControlCharacter = "ControlCharacter": "A text contains a control or bidirectional formatting character.",
        "Remove the character. It can make the text look like something else.",
        "warning", "";
    ListForm = "ListForm": "A list of a service, such as skills or mcpTools, is not a list of strings.",
        "Make it a list of strings.",
        "warning", "8004scan, agent0-subgraph";
    OasfEmpty = "OasfEmpty": "An OASF service lists neither skills nor domains.",
        "Add skills or domains, or remove the entry.",
        "info", "8004scan";
    UnknownSkill = "UnknownSkill": "A skill is not one of OASF 0.8.0.",
        "Use a path of OASF 0.8.0, such as natural_language_processing/natural_language_generation/text_completion.",
        "info", "8004scan";
    UnknownDomain = "UnknownDomain": "A domain is not one of OASF 0.8.0.",
        "Use a path of OASF 0.8.0, such as technology/blockchain/blockchain.",
        "info", "8004scan";
    AvailabilityForm = "AvailabilityForm": "available is not a boolean, or drainEndsAt is not an RFC 3339 time.",
        "Write available: false, and drainEndsAt such as 2026-05-24T14:00:00Z.",
        "warning", "";

    // Registrations.
    RegistrationsMissing = "RegistrationsMissing": "The document lists no registrations, so it does not point back to an agent on chain.",
        "After the mint, add registrations with agentId and agentRegistry.",
        "warning", "lucid-agents, 8004scan";
    RegistrationsEmpty = "RegistrationsEmpty": "registrations is empty, so the document does not point back to an agent on chain.",
        "After the mint, add an entry with agentId and agentRegistry.",
        "warning", "lucid-agents, 8004scan";
    RegistrationsNotList = "RegistrationsNotList": "registrations is not a list.",
        "Make registrations a list of objects with agentId and agentRegistry.",
        "error", "8004scan, lucid-agents, BackTrackCo, gt8004";
    RegistrationNotObject = "RegistrationNotObject": "An entry of registrations is not an object.",
        "Make each entry an object with agentId and agentRegistry.",
        "error", "8004scan, lucid-agents, BackTrackCo, gt8004, erc8004-crate";
    AgentIdMissing = "AgentIdMissing": "A registration has no agentId, or a null one.",
        "Add the agentId, a number. Before the mint leave the whole entry out.",
        "error", "8004scan, lucid-agents, BackTrackCo, aixyz, erc8004-crate";
    AgentIdInvalid = "AgentIdInvalid": "An agentId is not a whole number from 0.",
        "Set agentId to the number from the mint. Before the mint leave the whole entry out.",
        "error", "lucid-agents, BackTrackCo, aixyz, erc8004-crate";
    AgentIdText = "AgentIdText": "An agentId is a number in quotes.",
        "Remove the quotes.",
        "warning", "";
    AgentIdImprecise = "AgentIdImprecise": "An agentId is above 2^53-1, where parsers of JSON numbers lose digits.",
        "Nothing. The id is what the registry has assigned.",
        "info", "agent0-ts";
    AgentRegistryMissing = "AgentRegistryMissing": "A registration has no agentRegistry, or an empty one.",
        "Add agentRegistry, such as eip155:8453:0x8004A169FB4a3325136EB29fA0ceB6D2e539a432.",
        "error", "8004scan, lucid-agents, BackTrackCo, erc8004-crate";
    AgentRegistryInvalid = "AgentRegistryInvalid": "An agentRegistry does not have the form namespace:chain:address.",
        "Write eip155:, the chain id, a colon, and the 20-byte address of the registry.",
        "error", "8004scan, lucid-agents, BackTrackCo, erc8004-crate";
    RegistryNamespace = "RegistryNamespace": "The namespace of an agentRegistry is not eip155.",
        "For an EVM chain write eip155.",
        "warning", "lucid-agents, BackTrackCo";
    RegistryChecksum = "RegistryChecksum": "The address of an agentRegistry is in mixed case, but not in that of EIP-55.",
        "Check the address: a mistyped one looks like this.",
        "warning", "";
    RegistryOfOtherNetwork = "RegistryOfOtherNetwork": "The registry is that of mainnets on a testnet, or that of testnets on a mainnet.",
        "Correct the chain id or the address.",
        "warning", "lucid-agents, BackTrackCo";
    RegistryRetired = "RegistryRetired": "The registry is a test deployment from before version 1.",
        "Register the agent in the current registry of the chain.",
        "warning", "";
    RegistryNotListed = "RegistryNotListed": "The registry is not the known deployment of ERC-8004 on its chain.",
        "Nothing, if the registry is a private deployment.",
        "info", "agent0-ts, agent0-py, agent0-subgraph";
    SeveralIdsInRegistry = "SeveralIdsInRegistry": "Two registrations name the same registry.",
        "Keep one agent per registry. An agent of its own needs a host of its own.",
        "warning", "lucid-agents";
    ProofEntryUnusable = "ProofEntryUnusable": "An entry of a file that only proves a domain does not name an agent, so it proves nothing.",
        "Fill in agentId and agentRegistry, or remove the entry.",
        "warning", "lucid-agents";
}

impl LintCode {
    /// The finding in general; a [`super::Finding`] says what was found in a document.
    #[cfg(test)]
    pub(crate) fn meaning(self) -> &'static str {
        let [meaning, _, _, _] = self.texts();
        meaning
    }

    /// The text of the severity in the list.
    #[cfg(test)]
    pub(super) fn severity_as_written(self) -> &'static str {
        let [_, _, severity, _] = self.texts();
        severity
    }

    /// What the author of the document can do.
    pub(crate) fn fix(self) -> &'static str {
        let [_, fix, _, _] = self.texts();
        fix
    }

    pub(crate) fn severity(self) -> Severity {
        let [_, _, severity, _] = self.texts();
        match severity {
            "error" => Severity::Error,
            "warning" => Severity::Warning,
            _ => Severity::Info,
        }
    }

    /// The readers that reject or misread a document because of this.
    pub(crate) fn readers(self) -> impl Iterator<Item = &'static str> {
        let [_, _, _, readers] = self.texts();
        readers.split(", ").filter(|reader| !reader.is_empty())
    }

    /// Whether this is an older spelling or one of an SDK.
    pub(super) fn is_legacy(self) -> bool {
        matches!(
            self,
            Self::LegacyEndpoints
                | Self::LegacyX402Support
                | Self::LegacySupportedTrusts
                | Self::AgentIdText
        )
    }
}
