//! The node's certificate: whose it is, who issued it, and how long it lasts. Its signature is checked by the
//! TLS handshake.

use x509_parser::certificate::X509Certificate;
use x509_parser::pem::Pem;

use super::Check;

const NAME: &str = "certificate";
const DAY_S: i64 = 86_400;
/// Days before the end at which renewal is due.
const DAYS_LEFT_GOOD: i64 = 14;

/// Checks a certificate against the consortium's CA certificate, both in PEM, at a time in seconds since 1970.
#[must_use]
pub fn check_certificate(own_pem: &[u8], ca_pem: &[u8], now_s: i64) -> Check {
    let enrol = "enrol the node again with a new token from the consortium";
    let (Some(own), Some(ca)) = (first(own_pem), first(ca_pem)) else {
        return Check::fail(NAME, "the certificate or the CA's certificate cannot be read", enrol);
    };
    let (Ok(own), Ok(ca)) = (own.parse_x509(), ca.parse_x509()) else {
        return Check::fail(NAME, "the certificate or the CA's certificate is malformed", enrol);
    };
    if own.issuer().as_raw() != ca.subject().as_raw() {
        return Check::fail(NAME, format!("issued by {}, not by {}", own.issuer(), ca.subject()), enrol);
    }
    match (time(&ca, now_s), time(&own, now_s)) {
        (Err(problem), _) => {
            let advice = "check this machine's clock; else the consortium needs a new CA";
            Check::fail(NAME, format!("the CA's certificate {problem}"), advice)
        }
        (_, Err(problem)) => {
            let advice = format!("check this machine's clock; else {enrol}");
            Check::fail(NAME, format!("the certificate {problem}"), advice)
        }
        (_, Ok(days)) if days < DAYS_LEFT_GOOD => {
            Check::warn(NAME, format!("{} ends in {days} days", own.subject()), enrol)
        }
        (_, Ok(days)) => Check::ok(NAME, format!("{}, {days} days left", own.subject())),
    }
}

fn first(pem: &[u8]) -> Option<Pem> {
    Pem::iter_from_buffer(pem).next()?.ok().filter(|pem| pem.label == "CERTIFICATE")
}

/// Whole days left.
fn time(certificate: &X509Certificate<'_>, now_s: i64) -> Result<i64, String> {
    let validity = certificate.validity();
    let (from, until) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    if now_s < from {
        return Err(format!("is not valid before {}", validity.not_before));
    }
    if now_s > until {
        return Err(format!("ended at {}", validity.not_after));
    }
    Ok((until - now_s) / DAY_S)
}
