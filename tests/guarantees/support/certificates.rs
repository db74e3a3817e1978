//! Certificates of an authority that exists for one test.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};

pub struct Authority {
    folder: PathBuf,
    name: &'static str,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key, as PEM files.
pub struct Issued {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new(folder: &Path, name: &'static str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self {
            folder: folder.to_owned(),
            name,
            issuer,
        };
        std::fs::write(authority.path(), authority.issuer.pem()).unwrap();
        authority
    }

    /// The authority's own certificate.
    pub fn path(&self) -> String {
        self.folder.join(format!("{}.pem", self.name)).display().to_string()
    }

    /// Valid until the first day of a year, for a DNS name or an address.
    pub fn issue(&self, name: &str, until: i32) -> Issued {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(until, 1, 1));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let at = |what| {
            self.folder
                .join(format!("{}-{name}-{until}.{what}", self.name))
                .display()
                .to_string()
        };
        let issued = Issued {
            certificate: at("pem"),
            key: at("key"),
        };
        std::fs::write(&issued.certificate, certificate.pem()).unwrap();
        std::fs::write(&issued.key, key.serialize_pem()).unwrap();
        issued
    }

    /// The flags of either program.
    pub fn flags<'a>(issued: &'a Issued, ca: &'a str) -> [&'a str; 6] {
        [
            "--tls-certificate",
            &issued.certificate,
            "--tls-key",
            &issued.key,
            "--tls-ca",
            ca,
        ]
    }
}
