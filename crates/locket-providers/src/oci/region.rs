//! Where a region's services are. New regions come without a release of ours: a full name is believed, its realm
//! comes from an OCID or from what the machine says of itself.

use locket_core::Environment;
use reqwest::Url;
use serde::Deserialize;

use crate::http::Endpoint;

/// A region, and the domain of its realm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Region {
    name: String,
    domain: String,
}

/// The regions that are known here, and the one that `OCI_REGION_METADATA` tells of.
#[derive(Clone, Debug, Default)]
pub(super) struct Regions(Option<Told>);

/// A region as the environment and the metadata service describe it.
#[derive(Clone, Debug, Deserialize)]
struct Told {
    #[serde(alias = "realmDomainComponent")]
    realmdomaincomponent: String,
    #[serde(alias = "regionIdentifier")]
    regionidentifier: String,
    #[serde(alias = "regionKey")]
    regionkey: String,
}

impl Region {
    /// Its name, such as `eu-frankfurt-1`.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The service that gives secrets.
    pub(super) fn secrets(&self) -> Option<Endpoint> {
        self.endpoint(&format!("secrets.vaults.{}.oci", self.name))
    }

    /// The service that makes tokens of certificates.
    pub(super) fn auth(&self) -> Option<Endpoint> {
        self.endpoint(&format!("auth.{}", self.name))
    }

    /// What the metadata service says of the region it is in.
    pub(super) fn told(json: &[u8]) -> Option<Self> {
        let told: Told = serde_json::from_slice(json).ok()?;
        told.region()
    }

    fn endpoint(&self, host: &str) -> Option<Endpoint> {
        let url = Url::parse(&format!("https://{host}.{}", self.domain)).ok()?;
        Some(Endpoint::of(url))
    }
}

impl Regions {
    /// With what the environment adds.
    pub(super) fn new(environment: &Environment) -> Self {
        let told = environment.get("OCI_REGION_METADATA");
        Self(told.and_then(|json| serde_json::from_str(json).ok()))
    }

    /// The region of this name or key; `realm` is where it is if it is not known. A key that is not known means
    /// nothing.
    pub(super) fn find(&self, text: &str, realm: Option<&str>) -> Option<Region> {
        let name = text.trim().to_ascii_lowercase();
        let believed = name.contains('-') && is_label(&name);
        self.find_known(text).or_else(|| {
            believed.then(|| Region {
                name,
                domain: domain(realm.unwrap_or("oc1")),
            })
        })
    }

    /// The region of this name or key, where it needs no belief.
    pub(super) fn find_known(&self, text: &str) -> Option<Region> {
        let text = text.trim().to_ascii_lowercase();
        if let Some(told) = &self.0
            && (text == told.regionidentifier || text == told.regionkey.to_ascii_lowercase())
        {
            return told.region();
        }
        let (name, _, realm) = KNOWN
            .iter()
            .find(|(name, key, _)| text == *name || text == *key)?;
        Some(Region {
            name: (*name).to_owned(),
            domain: domain(realm),
        })
    }
}

impl Told {
    fn region(&self) -> Option<Region> {
        let is_domain = self.realmdomaincomponent.split('.').all(is_label);
        (is_domain && is_label(&self.regionidentifier)).then(|| Region {
            name: self.regionidentifier.clone(),
            domain: self.realmdomaincomponent.clone(),
        })
    }
}

/// Whether a text can be part of a host's name, and nothing more than that.
fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text.len() < 64
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// The second-level domain of a realm. Those that are not known follow the usual pattern.
fn domain(realm: &str) -> String {
    let known = REALMS.iter().find(|(name, _)| *name == realm);
    match (known, realm.strip_prefix("oc")) {
        (Some((_, domain)), _) => (*domain).to_owned(),
        (None, Some(number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("oraclecloud{number}.com")
        }
        (None, _) => "oraclecloud.com".to_owned(),
    }
}

/// Realms and their domains.
const REALMS: &[(&str, &str)] = &[
    ("oc1", "oraclecloud.com"),
    ("oc2", "oraclegovcloud.com"),
    ("oc3", "oraclegovcloud.com"),
    ("oc4", "oraclegovcloud.uk"),
    ("oc8", "oraclecloud8.com"),
    ("oc9", "oraclecloud9.com"),
    ("oc10", "oraclecloud10.com"),
    ("oc14", "oraclecloud14.com"),
    ("oc15", "oraclecloud15.com"),
    ("oc19", "oraclecloud.eu"),
    ("oc20", "oraclecloud20.com"),
    ("oc21", "oraclecloud21.com"),
    ("oc23", "oraclecloud23.com"),
    ("oc24", "oraclecloud24.com"),
    ("oc26", "oraclecloud26.com"),
    ("oc29", "oraclecloud29.com"),
    ("oc35", "oraclecloud35.com"),
    ("oc42", "oraclecloud42.com"),
    ("oc51", "oraclecloud51.com"),
    ("oc52", "oraclecloud52.com"),
];

/// Regions: name, key, realm.
#[rustfmt::skip]
const KNOWN: &[(&str, &str, &str)] = &[
    ("af-casablanca-1", "lej", "oc1"),
    ("af-johannesburg-1", "jnb", "oc1"),
    ("ap-batam-1", "hsg", "oc1"),
    ("ap-chiyoda-1", "nja", "oc8"),
    ("ap-chuncheon-1", "yny", "oc1"),
    ("ap-chuncheon-2", "bno", "oc35"),
    ("ap-dcc-canberra-1", "wga", "oc10"),
    ("ap-dcc-gazipur-1", "dac", "oc15"),
    ("ap-delhi-1", "onm", "oc1"),
    ("ap-hyderabad-1", "hyd", "oc1"),
    ("ap-ibaraki-1", "ukb", "oc8"),
    ("ap-kulai-2", "jbp", "oc1"),
    ("ap-melbourne-1", "mel", "oc1"),
    ("ap-mumbai-1", "bom", "oc1"),
    ("ap-osaka-1", "kix", "oc1"),
    ("ap-seoul-1", "icn", "oc1"),
    ("ap-seoul-2", "dtz", "oc35"),
    ("ap-singapore-1", "sin", "oc1"),
    ("ap-singapore-2", "xsp", "oc1"),
    ("ap-suwon-1", "dln", "oc35"),
    ("ap-sydney-1", "syd", "oc1"),
    ("ap-tokyo-1", "nrt", "oc1"),
    ("ca-montreal-1", "yul", "oc1"),
    ("ca-toronto-1", "yyz", "oc1"),
    ("eu-amsterdam-1", "ams", "oc1"),
    ("eu-budapest-1", "jsk", "oc51"),
    ("eu-crissier-1", "avf", "oc24"),
    ("eu-dcc-dublin-1", "ork", "oc14"),
    ("eu-dcc-dublin-2", "snn", "oc14"),
    ("eu-dcc-milan-1", "bgy", "oc14"),
    ("eu-dcc-milan-2", "mxp", "oc14"),
    ("eu-dcc-rating-1", "dus", "oc14"),
    ("eu-dcc-rating-2", "dtm", "oc14"),
    ("eu-dcc-zurich-1", "avz", "oc24"),
    ("eu-frankfurt-1", "fra", "oc1"),
    ("eu-frankfurt-2", "str", "oc19"),
    ("eu-jovanovac-1", "beg", "oc20"),
    ("eu-madrid-1", "mad", "oc1"),
    ("eu-madrid-2", "vll", "oc19"),
    ("eu-madrid-3", "orf", "oc1"),
    ("eu-marseille-1", "mrs", "oc1"),
    ("eu-milan-1", "lin", "oc1"),
    ("eu-paris-1", "cdg", "oc1"),
    ("eu-stockholm-1", "arn", "oc1"),
    ("eu-turin-1", "nrq", "oc1"),
    ("eu-zurich-1", "zrh", "oc1"),
    ("il-jerusalem-1", "mtz", "oc1"),
    ("me-abudhabi-1", "auh", "oc1"),
    ("me-abudhabi-2", "rkt", "oc29"),
    ("me-abudhabi-3", "ahu", "oc26"),
    ("me-abudhabi-4", "shj", "oc29"),
    ("me-alain-1", "rba", "oc26"),
    ("me-alrayyan-1", "vve", "oc21"),
    ("me-dcc-doha-1", "doh", "oc21"),
    ("me-dcc-muscat-1", "mct", "oc9"),
    ("me-dubai-1", "dxb", "oc1"),
    ("me-ibri-1", "ibr", "oc9"),
    ("me-jeddah-1", "jed", "oc1"),
    ("me-riyadh-1", "ruh", "oc1"),
    ("mx-monterrey-1", "mty", "oc1"),
    ("mx-queretaro-1", "qro", "oc1"),
    ("sa-bogota-1", "bog", "oc1"),
    ("sa-riodejaneiro-1", "hnw", "oc52"),
    ("sa-santiago-1", "scl", "oc1"),
    ("sa-saopaulo-1", "gru", "oc1"),
    ("sa-valparaiso-1", "vap", "oc1"),
    ("sa-vinhedo-1", "vcp", "oc1"),
    ("uk-cardiff-1", "cwl", "oc1"),
    ("uk-gov-cardiff-1", "brs", "oc4"),
    ("uk-gov-london-1", "ltn", "oc4"),
    ("uk-london-1", "lhr", "oc1"),
    ("us-ashburn-1", "iad", "oc1"),
    ("us-ashburn-2", "yxj", "oc42"),
    ("us-chicago-1", "ord", "oc1"),
    ("us-gov-ashburn-1", "ric", "oc3"),
    ("us-gov-chicago-1", "pia", "oc3"),
    ("us-gov-phoenix-1", "tus", "oc3"),
    ("us-langley-1", "lfi", "oc2"),
    ("us-luke-1", "luf", "oc2"),
    ("us-newark-1", "pgc", "oc42"),
    ("us-phoenix-1", "phx", "oc1"),
    ("us-saltlake-2", "aga", "oc1"),
    ("us-sanjose-1", "sjc", "oc1"),
    ("us-somerset-1", "ebb", "oc23"),
    ("us-thames-1", "ebl", "oc23"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(text: &str, realm: Option<&str>) -> Option<String> {
        let region = Regions::default().find(text, realm)?;
        Some(region.secrets()?.join([""; 0]).to_string())
    }

    #[test]
    fn a_region_is_found_by_name_and_by_key_in_its_realm() {
        let ashburn = "https://secrets.vaults.us-ashburn-1.oci.oraclecloud.com/";
        for text in ["us-ashburn-1", "iad", "IAD", " us-ashburn-1 "] {
            assert_eq!(secrets(text, None).as_deref(), Some(ashburn));
        }
        assert_eq!(
            secrets("ltn", Some("oc1")).as_deref(),
            Some("https://secrets.vaults.uk-gov-london-1.oci.oraclegovcloud.uk/")
        );
    }

    #[test]
    fn a_region_that_is_newer_than_this_program_is_believed_by_its_name_only() {
        assert_eq!(
            secrets("xx-somewhere-1", Some("oc99")).as_deref(),
            Some("https://secrets.vaults.xx-somewhere-1.oci.oraclecloud99.com/")
        );
        assert_eq!(secrets("xyz", Some("oc1")), None);
        assert_eq!(secrets("evil.example/x-1", None), None);
    }

    #[test]
    fn the_environment_may_tell_of_a_region() {
        let metadata = r#"{"realmKey": "oc99", "realmDomainComponent": "oracle.example", "regionKey": "XYZ", "regionIdentifier": "xx-new-1"}"#;
        let environment = [("OCI_REGION_METADATA", metadata)].into_iter().collect();
        let region = Regions::new(&environment).find("xyz", None).unwrap();
        assert_eq!(
            region.auth().unwrap().join([""; 0]).as_str(),
            "https://auth.xx-new-1.oracle.example/"
        );
    }

    #[test]
    fn the_known_regions_are_sorted_and_their_realms_known() {
        assert!(KNOWN.is_sorted());
        for (name, key, realm) in KNOWN {
            assert!(REALMS.iter().any(|(known, _)| known == realm), "{name}");
            assert!(is_label(name) && key.len() == 3, "{name}");
        }
    }
}
