//! Who signs: a key in a file, or a service that holds one.

use std::path::PathBuf;

use alloy::primitives::Address;
use clap::Args;
use url::Url;

use super::{bad_setting, missing};
use crate::anchor::signer::{
    Cloud, GcpKms, GcpToken, HttpSigner, KeySource, KeyVersion, KmsKey, Protocol, TIME_LIMIT,
};

#[derive(Debug, Args)]
pub(super) struct SignerArgs {
    /// Who signs: keystore:PATH (an encrypted keystore file), remote:URL (the stack's remote
    /// signer), web3signer:URL, aws-kms:KEY (an id, an ARN or alias/NAME), gcp-kms:KEY (the resource
    /// name of a key version), or development-key-file:PATH (a raw key)
    #[arg(long, value_name = "KIND:PLACE", env = "REGISTRAR_SIGNER", hide_env_values = true)]
    signer: Option<String>,
    /// The account that signs. The key must belong to it; required unless the key is in a file.
    /// anchor plan and anchor status need this or a signer
    #[arg(long, value_name = "0x…", env = "REGISTRAR_ACCOUNT")]
    pub(super) account: Option<Address>,
    /// The file that contains the keystore's password
    #[arg(long, value_name = "PATH", env = "REGISTRAR_KEYSTORE_PASSWORD_FILE")]
    keystore_password_file: Option<PathBuf>,
    /// The file with the bearer token for a signer at a URL, or the access token for gcp-kms; read
    /// for each signature
    #[arg(long, value_name = "PATH", env = "REGISTRAR_SIGNER_TOKEN_FILE")]
    signer_token_file: Option<PathBuf>,
    /// The file with the certificate authorities to trust for a signer at a URL, instead of the
    /// system's, in PEM
    #[arg(long, value_name = "PATH", env = "REGISTRAR_SIGNER_CA_FILE")]
    signer_ca_file: Option<PathBuf>,
    /// The file with the client certificate for a signer at a URL, in PEM
    #[arg(
        long,
        value_name = "PATH",
        env = "REGISTRAR_SIGNER_CERT_FILE",
        requires = "signer_key_file"
    )]
    signer_cert_file: Option<PathBuf>,
    /// The file with the client certificate's key, in PEM
    #[arg(
        long,
        value_name = "PATH",
        env = "REGISTRAR_SIGNER_KEY_FILE",
        requires = "signer_cert_file"
    )]
    signer_key_file: Option<PathBuf>,
    /// Where the key management service is, if not at its cloud's own address. For aws-kms,
    /// AWS_ENDPOINT_URL_KMS says the same
    #[arg(long, value_name = "URL", env = "REGISTRAR_KMS_ENDPOINT")]
    kms_endpoint: Option<Url>,
    /// The metadata server that gives access tokens for gcp-kms without --signer-token-file
    #[arg(
        long,
        value_name = "HOST[:PORT]",
        env = "GCE_METADATA_HOST",
        default_value = "metadata.google.internal"
    )]
    gcp_metadata_host: String,
    /// Allow a raw key in a file
    #[arg(long, env = "REGISTRAR_ALLOW_DEVELOPMENT_KEYS")]
    allow_development_keys: bool,
}

impl SignerArgs {
    pub(super) fn is_given(&self) -> bool {
        self.signer.is_some()
    }

    pub(super) fn resolve(&self) -> Option<KeySource> {
        const FORM: &str = "must be keystore:PATH, remote:URL, web3signer:URL, aws-kms:KEY, gcp-kms:KEY or development-key-file:PATH";
        let signer = self.signer.as_deref()?;
        let (kind, place) = signer.split_once(':').unwrap_or_else(|| bad_setting("--signer", FORM));
        Some(match kind {
            "keystore" => {
                let password = self.keystore_password_file.clone().unwrap_or_else(|| {
                    missing("--keystore-password-file", "the keystore's password")
                });
                KeySource::Keystore { path: place.into(), password }
            }
            "remote" => self.http(Protocol::Stack, place),
            "web3signer" => self.http(Protocol::Web3Signer, place),
            "aws-kms" => self.aws_kms(place),
            "gcp-kms" => self.gcp_kms(place),
            "development-key-file" if self.allow_development_keys => {
                KeySource::DevelopmentKey(place.into())
            }
            "development-key-file" => missing(
                "--allow-development-keys",
                "your confirmation that the raw key is worth nothing",
            ),
            _ => bad_setting("--signer", FORM),
        })
    }

    fn http(&self, protocol: Protocol, place: &str) -> KeySource {
        let url = Url::parse(place).ok().filter(is_http);
        let url = url.unwrap_or_else(|| bad_setting("--signer", "is not an http or https URL"));
        if may_hold_secrets(&url) {
            bad_setting(
                "--signer",
                "must not contain secrets: put the token into a file and name it with --signer-token-file",
            );
        }
        let is_plain = url.scheme() == "http";
        if is_plain && (self.signer_ca_file.is_some() || self.signer_cert_file.is_some()) {
            bad_setting("--signer", "must be an https URL if certificates are given for it");
        }
        KeySource::Http(HttpSigner {
            protocol,
            url,
            account: self.required_account(),
            token: self.signer_token_file.clone(),
            authority: self.signer_ca_file.clone(),
            identity: self.signer_cert_file.clone().zip(self.signer_key_file.clone()),
            limit: TIME_LIMIT,
        })
    }

    #[cfg(feature = "aws-kms")]
    fn aws_kms(&self, key: &str) -> KeySource {
        if key.is_empty() {
            bad_setting(
                "--signer",
                "names no key: aws-kms: is followed by an id, an ARN or alias/NAME",
            );
        }
        self.kms(Cloud::Aws { key: key.to_owned(), endpoint: self.endpoint() })
    }

    #[cfg(not(feature = "aws-kms"))]
    fn aws_kms(&self, _: &str) -> KeySource {
        bad_setting("--signer", "is one that this binary was built without: the feature aws-kms")
    }

    fn gcp_kms(&self, key: &str) -> KeySource {
        let key = key.parse::<KeyVersion>().unwrap_or_else(|form| bad_setting("--signer", form));
        let google = || Url::parse("https://cloudkms.googleapis.com").expect("a constant URL");
        let endpoint = self.endpoint().unwrap_or_else(google);
        let metadata = || {
            Url::parse(&format!("http://{}", self.gcp_metadata_host))
                .ok()
                .filter(|url| url.path() == "/" && !may_hold_secrets(url))
                .unwrap_or_else(|| bad_setting("--gcp-metadata-host", "is not HOST or HOST:PORT"))
        };
        let token = match &self.signer_token_file {
            Some(path) => GcpToken::File(path.clone()),
            None => GcpToken::Metadata(metadata()),
        };
        self.kms(Cloud::Gcp(GcpKms { key, endpoint, token }))
    }

    fn kms(&self, cloud: Cloud) -> KeySource {
        KeySource::Kms(KmsKey { cloud, account: self.required_account(), limit: TIME_LIMIT })
    }

    fn endpoint(&self) -> Option<Url> {
        if self.kms_endpoint.as_ref().is_some_and(|url| !is_http(url) || may_hold_secrets(url)) {
            bad_setting("--kms-endpoint", "is not an http or https URL without secrets");
        }
        self.kms_endpoint.clone()
    }

    fn required_account(&self) -> Address {
        self.account
            .unwrap_or_else(|| missing("--account", "the account that the signer signs for"))
    }
}

fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

/// Whether a URL has parts that people put secrets into.
fn may_hold_secrets(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some() || url.query().is_some()
}
