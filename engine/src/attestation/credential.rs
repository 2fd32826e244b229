//! The credential in its envelope: an SD-JWT VC (RFC 9901, draft-ietf-oauth-sd-jwt-vc) that says the same thing twice.
//!
//! In words, one disclosure for each attribute, for people and for other software; and in slots, as the circuit reads
//! them, with the Poseidon commitment and the issuer's signature on Jubjub. The holder checks on receipt that both agree:
//! what the circuit will prove is what the issuer wrote down.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use ward_circuits::criteria::{Code, Date, Decimal, Kind, Schema};
use ward_circuits::eligibility::{
    Attributes, Credential, Day, Header, HolderKey, PatientSecret, SLOTS, SchemaId, Slot, StatusIndex,
};
use ward_circuits::{field, schnorr};
use ward_math::Secret;
use zeroize::Zeroizing;

use super::documents::{credential_key, element};
use super::error::AttestationError;
use super::jws;
use super::sd_jwt::{self, Claims, SALT_BYTES};
use crate::encoding::{Digest, HexBytes};
use crate::identity::{Identity, PublicKey};

/// Type of the envelope's token.
pub const TYPE: &str = "dc+sd-jwt";
/// Type of the credential.
pub const VCT: &str = "urn:ward:credential:eligibility:1";

/// What a holder asks an issuer to bind a credential to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HolderRequest {
    /// Version of this form: 1.
    pub ward_holder: u32,
    /// The holder's Ed25519 key, for `cnf`.
    pub identity: PublicKey,
    /// The public name of the holder's secret in the circuit.
    pub holder_key: Digest,
}

/// What an issuer decided about one credential.
pub struct Issue {
    /// What the patient's record says.
    pub attributes: Attributes,
    /// The patient's secret name.
    pub patient: PatientSecret,
    /// For whom, how long, under which place.
    pub terms: Terms,
}

/// For whom a credential is, how long it is valid, and where its status stands.
#[derive(Clone, Debug)]
pub struct Terms {
    /// For whom.
    pub holder: HolderRequest,
    /// First and last day of validity.
    pub validity: (Date, Date),
    /// Its place in the issuer's list.
    pub index: StatusIndex,
    /// Where the status list is published, or empty.
    pub status_uri: String,
}

/// The keys of an issuer.
pub struct IssuerKeys<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its identity.
    pub identity: &'a Identity,
    /// Its key on Jubjub.
    pub signing: &'a schnorr::SigningKey,
}

/// A credential that was opened and checked by its holder.
pub struct Opened {
    /// The credential.
    pub credential: Credential,
    /// What the envelope says in words: attribute and value.
    pub words: Claims,
    /// The issuer's name, as the envelope has it.
    pub issuer: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    commitment: Digest,
    signature: HexBytes,
    issuer_key: HexBytes,
    holder_key: Digest,
    schema: Digest,
    not_before: String,
    not_after: String,
    index: u32,
}

/// What opens the commitment. Everything in it is the patient's.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Opening {
    slots: Vec<String>,
    complete: u32,
    salt: String,
    patient: String,
}

/// Issues a credential.
///
/// # Errors
/// [`AttestationError`] when the keys or dates do not serve.
pub fn issue(
    keys: &IssuerKeys<'_>,
    schema: &Schema,
    issue: Issue,
    rng: &mut impl rand_core::CryptoRng,
) -> Result<String, AttestationError> {
    let Issue { attributes, patient, terms } = issue;
    let holder = element(&terms.holder.holder_key)
        .ok_or_else(|| AttestationError::malformed("a holder's request", "no element of the field"))?;
    let (first, last) = terms.validity;
    let header = Header {
        holder: HolderKey(holder),
        not_before: day(first),
        not_after: day(last),
        schema: schema_element(),
        index: terms.index,
    };
    let mut closed = words(schema, &attributes)?;
    let credential = Credential::issue(keys.signing, attributes, patient, header, rng)?;
    let sealed = Sealed {
        commitment: Digest(field::to_bytes(&credential.commitment())),
        signature: HexBytes(credential.signature().to_bytes().to_vec()),
        issuer_key: HexBytes(credential.issuer().to_bytes().to_vec()),
        holder_key: terms.holder.holder_key,
        schema: Digest(schema.id().0),
        not_before: first.to_string(),
        not_after: last.to_string(),
        index: terms.index.get(),
    };
    closed.insert("ward_opening".to_owned(), opening(&credential)?);
    let open = open_claims(keys.name, &terms, &sealed)?;
    let salts: Vec<[u8; SALT_BYTES]> = closed
        .iter()
        .map(|_| {
            let mut salt = [0; SALT_BYTES];
            rng.fill_bytes(&mut salt);
            salt
        })
        .collect();
    Ok(sd_jwt::issue(keys.identity, TYPE, open, &closed, &salts)?)
}

fn open_claims(name: &str, terms: &Terms, sealed: &Sealed) -> Result<Claims, AttestationError> {
    let seconds = |date: Date| date.unix_ms().map(|ms| ms / 1000);
    let (Some(nbf), Some(last)) = (seconds(terms.validity.0), seconds(terms.validity.1)) else {
        return Err(AttestationError::malformed("a validity", "it begins before 1970"));
    };
    let sealed = serde_json::to_value(sealed).map_err(|e| AttestationError::malformed("a credential", e))?;
    let mut claims = Claims::from([
        ("vct".to_owned(), json!(VCT)),
        ("iss".to_owned(), json!(format!("urn:ward:issuer:{name}"))),
        ("nbf".to_owned(), json!(nbf)),
        // The last day counts to its end.
        ("exp".to_owned(), json!(last + 86_400)),
        ("cnf".to_owned(), json!({ "jwk": jws::jwk(&terms.holder.identity) })),
        ("ward".to_owned(), sealed),
    ]);
    if !terms.status_uri.is_empty() {
        let reference = json!({ "status_list": { "idx": terms.index.get(), "uri": terms.status_uri } });
        claims.insert("status".to_owned(), reference);
    }
    Ok(claims)
}

/// Opens an envelope as its holder: the issuer's signatures, the binding, and that words and slots agree.
///
/// # Errors
/// [`AttestationError::Inconsistent`] naming what does not agree, and what makes the envelope none.
pub fn open(
    envelope: &str,
    issuer: &PublicKey,
    holder: &HolderRequest,
    schema: &Schema,
) -> Result<Opened, AttestationError> {
    let wrong = |reason| AttestationError::Inconsistent { reason };
    let mut claims = sd_jwt::open(envelope.trim(), TYPE, issuer)?;
    if claims.remove("vct") != Some(json!(VCT)) {
        return Err(wrong("it is a credential of another type"));
    }
    let bound = claims.remove("cnf").and_then(|cnf| jws::from_jwk(cnf.get("jwk")?));
    let sealed: Sealed = take(&mut claims, "ward")?;
    if bound != Some(holder.identity) || sealed.holder_key != holder.holder_key {
        return Err(wrong("it is bound to another holder"));
    }
    if sealed.schema.0 != schema.id().0 {
        return Err(AttestationError::Schema { found: sealed.schema.to_string() });
    }
    let opening: Opening = take(&mut claims, "ward_opening")?;
    let credential = rebuilt(&sealed, &opening)?;
    schema
        .check(credential.attributes())
        .map_err(|_| wrong("its slots hold what the schema does not allow"))?;
    let name =
        claims.remove("iss").and_then(|iss| Some(iss.as_str()?.strip_prefix("urn:ward:issuer:")?.to_owned()));
    let issuer = name.ok_or_else(|| wrong("it names no issuer"))?;
    claims.retain(|name, _| schema.attribute(name).is_some());
    if claims != words(schema, credential.attributes())? {
        return Err(wrong("its words and its slots do not say the same"));
    }
    Ok(Opened { credential, words: claims, issuer })
}

fn take<T: serde::de::DeserializeOwned>(claims: &mut Claims, name: &str) -> Result<T, AttestationError> {
    let value = claims
        .remove(name)
        .ok_or_else(|| AttestationError::malformed("a credential", format!("no `{name}`")))?;
    // The parser's message could carry what stands there.
    serde_json::from_value(value)
        .map_err(|_| AttestationError::malformed("a credential", format!("`{name}` is malformed")))
}

/// The credential of the envelope's parts; its signature and commitment hold.
fn rebuilt(sealed: &Sealed, opening: &Opening) -> Result<Credential, AttestationError> {
    let wrong = |reason| AttestationError::Inconsistent { reason };
    let slots = opening.slots.iter().map(|text| read_slot(text)).collect::<Option<Vec<_>>>();
    let slots =
        slots.and_then(|slots| <[Slot; SLOTS]>::try_from(slots).ok()).ok_or_else(|| wrong("no slots"))?;
    let bytes = |text: &str| {
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(text, &mut *bytes).map_err(|_| wrong("an opening that is not hexadecimal"))?;
        Ok::<_, AttestationError>(bytes)
    };
    let patient = PatientSecret::from_bytes(&*bytes(&opening.patient)?).map_err(|_| wrong("no patient"))?;
    let salt = Secret::new(*bytes(&opening.salt)?);
    let date = |text: &str| text.parse::<Date>().map_err(|_| wrong("no validity"));
    let header = Header {
        holder: HolderKey(element(&sealed.holder_key).ok_or_else(|| wrong("no holder"))?),
        not_before: day(date(&sealed.not_before)?),
        not_after: day(date(&sealed.not_after)?),
        schema: schema_element(),
        index: StatusIndex::new(sealed.index).map_err(|_| wrong("a place beyond the list"))?,
    };
    let issuer = credential_key(&sealed.issuer_key).ok_or_else(|| wrong("no key of the issuer"))?;
    let signature = <[u8; schnorr::SIGNATURE_BYTES]>::try_from(sealed.signature.0.as_slice());
    let signature = signature.ok().and_then(|bytes| schnorr::Signature::from_bytes(&bytes).ok());
    let signed = (issuer, signature.ok_or_else(|| wrong("no signature"))?);
    let attributes = Attributes::from_parts(slots, opening.complete);
    let credential = Credential::from_parts(attributes, (patient, salt), header, signed)?;
    if field::to_bytes(&credential.commitment()) != sealed.commitment.0 {
        return Err(wrong("its commitment is of other content"));
    }
    Ok(credential)
}

fn opening(credential: &Credential) -> Result<Value, AttestationError> {
    let opening = Opening {
        slots: credential.attributes().slots().iter().map(|slot| write_slot(*slot)).collect(),
        complete: credential.attributes().complete(),
        salt: hex::encode(credential.salt().expose()),
        patient: hex::encode(credential.patient().to_bytes().expose()),
    };
    serde_json::to_value(opening).map_err(|e| AttestationError::malformed("a credential", e))
}

/// `-` for nothing, `^` for the head of a list, or the number.
fn write_slot(slot: Slot) -> String {
    match slot {
        Slot::Absent => "-".to_owned(),
        Slot::Before => "^".to_owned(),
        Slot::Value(value) => value.to_string(),
    }
}

fn read_slot(text: &str) -> Option<Slot> {
    match text {
        "-" => Some(Slot::Absent),
        "^" => Some(Slot::Before),
        number => {
            let value = number.parse::<u64>().ok()?;
            (value.to_string() == number).then_some(Slot::Value(value))
        }
    }
}

/// What the slots say, in words: what is not recorded is left out.
fn words(schema: &Schema, attributes: &Attributes) -> Result<Claims, AttestationError> {
    let wrong = || AttestationError::Inconsistent { reason: "its slots hold what the schema does not allow" };
    let mut claims = Claims::new();
    let slots = attributes.slots();
    for attribute in schema.attributes() {
        let value = |slot: usize| if let Slot::Value(value) = slots[slot] { Some(value) } else { None };
        let word = match &attribute.kind {
            Kind::Date { slot, .. } => match value(slot.get()) {
                Some(days) => json!(Date::from_days(days).ok_or_else(wrong)?.to_string()),
                None => continue,
            },
            Kind::Number(number) => match value(number.slot.get()) {
                Some(slot) => {
                    let decimal: Decimal = number.decode(slot).ok_or_else(wrong)?;
                    json!({ "value": decimal.to_string(), "unit": number.unit })
                }
                None => continue,
            },
            Kind::Choice { slot, system, values } => match value(slot.get()) {
                Some(number) => {
                    let choice = values.iter().find(|choice| choice.value == number).ok_or_else(wrong)?;
                    json!({ "value": choice.name, "system": system, "code": choice.code })
                }
                None => continue,
            },
            Kind::Codes { run, system, dot_after } => {
                if slots[run.first().get()] == Slot::Absent {
                    continue;
                }
                let codes =
                    run.indices().filter_map(value).map(|v| Some(Code::from_value(v)?.text(*dot_after)));
                let codes = codes.collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
                let complete = attributes.complete() >> run.first().get() & 1 == 1;
                json!({ "codes": codes, "system": system, "complete": complete })
            }
            _ => continue,
        };
        claims.insert(attribute.name.clone(), word);
    }
    Ok(claims)
}

/// A date as the circuit has it.
#[must_use]
pub fn day(date: Date) -> Day {
    // A date is below 2^17.
    Day(u32::try_from(date.days()).unwrap_or(u32::MAX))
}

/// The name of the schema in the circuit.
#[must_use]
pub fn schema_element() -> SchemaId {
    SchemaId::of(ward_circuits::criteria::SCHEMA_JSON.as_bytes())
}
