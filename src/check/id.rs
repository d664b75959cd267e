//! The closed list of checks.

use crate::offer::closed_list;

closed_list! {
    /// A check of `registrar check`.
    CheckId: [4]
    ALL

    // The cluster.
    ClusterConfigured = "cluster-configured": "A kubeconfig, or the service account of a pod, is found and can be used.", "cluster",
        "Pass --kubeconfig, set KUBECONFIG, or run in a pod. To read manifests instead, pass --offers.", "docs/kubernetes.md#deploy";
    ClusterReachable = "cluster-reachable": "The API server answers.", "cluster",
        "Check the server's address in the kubeconfig, the network, and the credentials.", "docs/kubernetes.md#deploy";
    ClusterVersion = "cluster-version": "The API server is Kubernetes 1.25 or later.", "cluster",
        "Upgrade the cluster. Older versions are not tested.", "docs/kubernetes.md#deploy";
    ClusterClock = "cluster-clock": "The clock of this machine and that of the API server differ by less than 5 seconds.", "cluster",
        "Synchronize both clocks by NTP. A drain ends by the clock of the registrar.", "docs/drains.md";
    RightsOffers = "rights-offers": "ServiceOffers may be listed, read and watched.", "cluster",
        "Apply deploy/rbac.yaml, and bind its role to the account that runs the registrar.", "docs/kubernetes.md#deploy";
    RightsIdentity = "rights-identity": "The AgentIdentity may be listed, read and watched.", "cluster",
        "Apply deploy/rbac.yaml, or pass --identity none if agents have no ids.", "docs/kubernetes.md#deploy";
    RightsTunnel = "rights-tunnel": "The tunnel's ConfigMap may be read, where no --public-url is set.", "cluster",
        "Apply deploy/rbac-stack.yaml, or pass --public-url.", "docs/kubernetes.md#deploy";
    RightsRoutes = "rights-routes": "HTTPRoutes may be listed, which only this command needs.", "cluster",
        "Run the command as a user who may list httproutes.gateway.networking.k8s.io.", "docs/kubernetes.md#cut-over-from-the-original-system";

    RightsLease = "rights-lease": "With --lease: the Lease may be read and updated.", "cluster",
        "Apply deploy/anchoring/rbac.yaml or deploy/rbac-enforcement.yaml, whose Lease is named registrar.", "docs/kubernetes.md#several-replicas";
    RightsJournal = "rights-journal": "With --journal configmap:…: the ConfigMap may be read and watched, and updated where this process anchors.", "cluster",
        "Apply deploy/anchoring/rbac.yaml, whose ConfigMap is named registrar-journal.", "docs/anchoring.md#in-a-cluster";
    RightsEnforcement = "rights-enforcement": "With --enforce-drains: the routes of offers may be listed and deleted, and their conditions patched.", "cluster",
        "Apply deploy/rbac-enforcement.yaml, and bind its roles to the account that runs the registrar.", "docs/drains.md#end-a-drain-in-the-cluster";
    RightsIdentityStatus = "rights-identity-status": "With --write-identity: the status of the AgentIdentity may be patched.", "cluster",
        "Apply deploy/rbac-identity.yaml, whose AgentIdentity is x402/default.", "docs/anchoring.md";
    RightsEvents = "rights-events": "With --events: Events may be created where the offers are.", "cluster",
        "Apply deploy/rbac-events.yaml, and bind its role to the account that runs the registrar.", "docs/kubernetes.md";

    // The kinds.
    CrdOffers = "crd-offers": "The kind ServiceOffer is installed.", "crds",
        "Install it: registrar crds | kubectl apply -f -", "docs/kubernetes.md#on-a-bare-cluster";
    CrdIdentities = "crd-identities": "The kind AgentIdentity is installed.", "crds",
        "Install it: registrar crds | kubectl apply -f -, or pass --identity none.", "docs/kubernetes.md#on-a-bare-cluster";
    CrdVersion = "crd-version": "The API group obol.org serves v1alpha1.", "crds",
        "Install the version: registrar crds | kubectl apply -f -", "docs/kubernetes.md#on-a-bare-cluster";
    CrdDrainFields = "crd-drain-fields": "The schema of ServiceOffer has drainAt and drainGracePeriod; otherwise the API server drops them.", "crds",
        "Install a newer definition: registrar crds | kubectl apply -f -", "docs/drains.md";

    // The offers.
    OffersRead = "offers-read": "The offers can be read.", "offers",
        "Correct what the message names.", "docs/configuration.md#reading-from-files";
    OffersFound = "offers-found": "There is at least one offer.", "offers",
        "Check --namespace and --selector, or create an offer.", "docs/publishing.md#reasons";
    OffersPublished = "offers-published": "At least one offer is published.", "offers",
        "registrar explain tells for each offer why it is not published.", "docs/publishing.md#reasons";
    OffersDecodable = "offers-decodable": "Every offer can be decoded, with a usable path, host and drain.", "offers",
        "registrar explain NAMESPACE/NAME names the field.", "docs/publishing.md#reasons";
    OffersClaims = "offers-claims": "No two offers claim the same path or host, and all claims are granted.", "offers",
        "Change spec.path or spec.hostname of one of them, or the file of --grants.", "docs/publishing.md#claims";
    OffersConditions = "offers-conditions": "Each required condition is True on at least one offer: something sets it.", "offers",
        "Where no controller sets the conditions, pass --required-conditions none.", "docs/publishing.md#reasons";
    OffersEntries = "offers-entries": "No service entry is left out of the documents.", "offers",
        "registrar explain NAMESPACE/NAME names the entry and why.", "docs/publishing.md#service-entries-that-are-left-out";
    OffersSize = "offers-size": "Every published offer fits into the aggregate document.", "offers",
        "Publish fewer or shorter entries, or raise --max-document-bytes.", "docs/publishing.md#reasons";
    OffersDocument = "offers-document": "The default agent's document has no finding that makes a reader reject it.", "offers",
        "registrar render … | registrar lint - names each finding.", "docs/lint.md";

    // Agent ids and the public URL.
    IdentityFound = "identity-found": "The AgentIdentity exists.", "identity",
        "Without ids nothing is missing. Otherwise check --identity.", "docs/kubernetes.md#on-a-bare-cluster";
    IdentityReadable = "identity-readable": "Every entry of its status names a known chain and a readable id, and no two differ.", "identity",
        "Correct status.registrations of the AgentIdentity; --registry adds a chain.", "docs/publishing.md";
    PublicUrlKnown = "public-url-known": "The public URL is set, or the tunnel's ConfigMap has one.", "identity",
        "Pass --public-url, or check the tunnel.", "docs/configuration.md";

    // A running server, by its admin listener.
    ServerReachable = "server-reachable": "The admin listener answers.", "server",
        "Forward its port (kubectl port-forward), and pass --admin-url http://127.0.0.1:9004.", "docs/http.md";
    ServerReady = "server-ready": "The server has a complete catalog and is ready.", "server",
        "The message names what is missing.", "docs/http.md";
    ServerFresh = "server-fresh": "The sources of the server were confirmed within 35 seconds.", "server",
        "Check the connection from the server to the API server.", "docs/metrics.md";
    ServerBrake = "server-brake": "The shrink brake holds nothing back.", "server",
        "If the offers were removed on purpose: curl -X POST …/debug/release-brake", "docs/publishing.md";
    ServerProblems = "server-problems": "The server reports no other problem.", "server",
        "Correct what the message names.", "docs/http.md";

    // The public URL as it answers here.
    PublicReachable = "public-reachable": "The public URL answers the well-known path with 200.", "public",
        "Check DNS, the tunnel or ingress, and the route.", "docs/kubernetes.md#cut-over-from-the-original-system";
    PublicRedirect = "public-redirect": "It answers without a redirect, which strict readers refuse.", "public",
        "Serve the path directly, and set --public-url to the final origin.", "docs/consumers.md";
    PublicDocument = "public-document": "The answer is a valid registration document.", "public",
        "registrar lint URL names each finding.", "docs/lint.md";
    PublicBytes = "public-bytes": "A GET returns the bytes that render prints: the registrar's own document.", "public",
        "The original system, an older replica or a cache still answers. Check the route with GET, not with HEAD.", "docs/kubernetes.md#cut-over-from-the-original-system";
    PublicHead = "public-head": "HEAD answers as GET does.", "public",
        "List GET, HEAD and OPTIONS in the route, so that one backend answers all three.", "docs/kubernetes.md#cut-over-from-the-original-system";
    PublicEtag = "public-etag": "The answer has a strong entity tag.", "public",
        "Turn off rewriting or compression of this path in the proxy.", "docs/http.md";
    PublicConditional = "public-conditional": "A conditional request is answered with 304.", "public",
        "Let the proxy pass If-None-Match on.", "docs/http.md";
    PublicCaching = "public-caching": "Cache-Control allows at most five minutes of caching, so that drains are seen.", "public",
        "Let the proxy or CDN keep the Cache-Control of the registrar.", "docs/http.md";
    PublicMediaType = "public-media-type": "The Content-Type is application/json.", "public",
        "Let the proxy keep the Content-Type.", "docs/http.md";
    PublicCors = "public-cors": "Web pages of any origin may read the answer.", "public",
        "Let the proxy keep Access-Control-Allow-Origin: *.", "docs/http.md";
    PublicSize = "public-size": "The answer has at most 64 KiB, which every reader accepts.", "public",
        "Publish fewer or shorter entries, or give offers their own hosts.", "docs/consumers.md";
    PublicSpeed = "public-speed": "The answer arrives within 1.5 seconds, the limit of the strictest reader.", "public",
        "Check the tunnel and the distance to the cluster.", "docs/consumers.md";
    PublicTls = "public-tls": "The certificate is valid for at least 14 more days.", "public",
        "Renew the certificate, or check what renews it.", "docs/kubernetes.md#deploy";
    PublicHttps = "public-https": "The public URL is https.", "public",
        "Set --public-url to an https origin. Readers verify a domain over https only.", "docs/configuration.md";
    PublicClock = "public-clock": "The clock of this machine and that of the public URL differ by less than 5 seconds.", "public",
        "Synchronize the clocks by NTP.", "docs/drains.md";
    PublicHosts = "public-hosts": "Each offer's own host answers with that host's document.", "public",
        "Point the host's DNS at the gateway, and list the host in deploy/httproute.yaml. Before that, --via URL asks another address for every host.", "docs/kubernetes.md#cut-over-from-the-original-system";

    // Routes of the Gateway API.
    RoutesFound = "routes-found": "An HTTPRoute leads to the registrar.", "routes",
        "Apply deploy/httproute.yaml, and pass --service if the Service has another name.", "docs/kubernetes.md#cut-over-from-the-original-system";
    RoutesAccepted = "routes-accepted": "The gateway has accepted the route and found its backend.", "routes",
        "kubectl describe httproute shows the conditions of the gateway.", "docs/kubernetes.md#cut-over-from-the-original-system";
    RoutesHosts = "routes-hosts": "The route names the public host and the host of every offer.", "routes",
        "Add the host to hostnames in deploy/httproute.yaml.", "docs/kubernetes.md#cut-over-from-the-original-system";
    RoutesMethods = "routes-methods": "The route matches the well-known path by the methods GET, HEAD and OPTIONS.", "routes",
        "Apply deploy/httproute.yaml of this version. A match with a method takes precedence over one without.", "docs/kubernetes.md#cut-over-from-the-original-system";
    RoutesGet = "routes-get": "No other route takes a GET of the well-known path.", "routes",
        "Remove the other route, or give ours the same hostname and a method match.", "docs/kubernetes.md#cut-over-from-the-original-system";
    RoutesHead = "routes-head": "No other route takes a HEAD of the well-known path.", "routes",
        "Remove the other route, or give ours the same hostname and a method match.", "docs/kubernetes.md#cut-over-from-the-original-system";
    RoutesListener = "routes-listener": "The gateway's listener has no hostname of its own, with which precedence depends on the gateway.", "routes",
        "Check with GET which document each host answers (public-bytes, public-hosts).", "docs/kubernetes.md#cut-over-from-the-original-system";
    RoutesDrained = "routes-drained": "No route of an offer outlives the end of its drain.", "routes",
        "Delete the route: its controller should have done so. The paid service still answers.", "docs/drains.md";

    // The chain.
    ChainEndpoints = "chain-endpoints": "Every endpoint answers, and serves the configured chain.", "anchoring",
        "Check --rpc-url.", "docs/anchoring.md";
    ChainQuorum = "chain-quorum": "At least two endpoints are configured, so that one cannot lie.", "anchoring",
        "Add an --rpc-url of another provider.", "docs/anchoring.md";
    ChainFinality = "chain-finality": "A majority agrees on a final block that is less than an hour old.", "anchoring",
        "Check the endpoints and --finality.", "docs/anchoring.md";
    ChainRegistry = "chain-registry": "The registry has code and answers getVersion with 2.0.0.", "anchoring",
        "Check --registry and the chain.", "docs/anchoring.md";
    ChainWidth = "chain-width": "eth_getLogs accepts a range of at least 500 blocks.", "anchoring",
        "Use an endpoint with a wider range; a scan of the history would take too many requests.", "docs/anchoring.md";
    ChainHistory = "chain-history": "The endpoints serve the block at which the registry's history begins.", "anchoring",
        "Use an endpoint that keeps the history, such as an archive node.", "docs/anchoring.md";
    AccountFunds = "account-funds": "The account's balance lasts for at least 7 days of the daily budget.", "anchoring",
        "Send funds to the account, or lower --daily-budget-ether.", "docs/anchoring.md";
    AccountSigner = "account-signer": "The signing key can be opened and belongs to --account.", "anchoring",
        "Check --signer, its password file and --account.", "docs/anchoring.md";
    LeaseHeld = "lease-held": "With --lease: a replica holds the Lease and has renewed it in time.", "anchoring",
        "Check that a replica runs with --lease, and its rights on leases (rights-lease).", "docs/kubernetes.md#several-replicas";
    JournalUsable = "journal-usable": "The journal can be read and belongs to this owner id and account.", "anchoring",
        "The message names what to do. Never delete a journal without reading its runbook.", "docs/runbooks/lost-journal.md";
    JournalBlocked = "journal-blocked": "No agent in the journal waits for a person.", "anchoring",
        "registrar anchor status explains each agent's reason.", "docs/anchoring.md";
}

impl CheckId {
    /// What holds if the check passes.
    #[cfg(test)]
    pub(crate) fn meaning(self) -> &'static str {
        let [meaning, ..] = self.texts();
        meaning
    }

    pub(crate) fn group(self) -> &'static str {
        let [_, group, ..] = self.texts();
        group
    }

    pub(crate) fn fix(self) -> &'static str {
        let [_, _, fix, _] = self.texts();
        fix
    }

    /// The page and heading that explain it, from the root of the repository.
    pub(crate) fn docs(self) -> &'static str {
        let [.., docs] = self.texts();
        docs
    }
}
