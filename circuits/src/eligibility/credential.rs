//! Credentials: what an issuer signs about a patient, and who holds it.

use rand_core::CryptoRng;
use ward_math::Secret;

use super::attributes::Attributes;
use super::status::StatusIndex;
use super::types::Slot;
use crate::error::DecodeError;
use crate::field::{ELEMENT_BYTES, Element, from_bytes, hash_bytes, random, to_bytes};
use crate::poseidon::{self, Domain};
use crate::schnorr::{InvalidSignature, PublicKey, Signature, SigningKey};

/// A day: days since 1900-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub u32);

/// The name of a schema, which says what the slots mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaId(Element);

impl SchemaId {
    /// The schema whose canonical text this is.
    #[must_use]
    pub fn of(canonical: &[u8]) -> Self {
        Self(hash_bytes("ward/schema/1", &[canonical]))
    }

    /// The name as an element.
    #[must_use]
    pub fn element(&self) -> Element {
        self.0
    }
}

/// The name of a study, among whose participants each patient counts once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StudyId(Element);

impl StudyId {
    /// The study with this name, unique in the consortium.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self(hash_bytes("ward/study/1", &[name.as_bytes()]))
    }

    /// The name as an element.
    #[must_use]
    pub fn element(&self) -> Element {
        self.0
    }
}

/// What only the holder of credentials knows.
pub struct HolderSecret(Secret<Element>);

impl HolderSecret {
    /// Draws a secret.
    #[must_use]
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self(Secret::new(random(rng)))
    }

    /// Reads a secret from a sealed wallet.
    ///
    /// # Errors
    /// [`DecodeError::NotCanonical`].
    pub fn from_bytes(bytes: &[u8; ELEMENT_BYTES]) -> Result<Self, DecodeError> {
        Ok(Self(Secret::new(from_bytes(bytes)?)))
    }

    /// The secret, for a sealed wallet.
    #[must_use]
    pub fn to_bytes(&self) -> Secret<[u8; ELEMENT_BYTES]> {
        Secret::new(to_bytes(self.0.expose()))
    }

    pub(super) fn expose(&self) -> &Element {
        self.0.expose()
    }

    /// The key that an issuer binds into a credential.
    #[must_use]
    pub fn key(&self) -> HolderKey {
        HolderKey(poseidon::hash(Domain::Holder, &[*self.0.expose()]))
    }
}

/// The public name of a holder's secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HolderKey(pub Element);

/// What makes a patient the same patient in every credential: the consortium's secret name for the person.
///
/// Issuers that know a patient derive the same one; who does not know it cannot link a nullifier to a person, nor the
/// nullifiers of two studies.
pub struct PatientSecret(Secret<Element>);

impl PatientSecret {
    /// The name made of bytes that only issuers and the patient know (at least 128 bits of entropy: the output of a
    /// keyed function of the patient's identity, not the identity).
    #[must_use]
    pub fn of(secret: &[u8]) -> Self {
        Self(Secret::new(hash_bytes("ward/patient/1", &[secret])))
    }

    /// Reads the name from a sealed wallet.
    ///
    /// # Errors
    /// [`DecodeError::NotCanonical`].
    pub fn from_bytes(bytes: &[u8; ELEMENT_BYTES]) -> Result<Self, DecodeError> {
        Ok(Self(Secret::new(from_bytes(bytes)?)))
    }

    /// The name, for a sealed wallet.
    #[must_use]
    pub fn to_bytes(&self) -> Secret<[u8; ELEMENT_BYTES]> {
        Secret::new(to_bytes(self.0.expose()))
    }

    pub(super) fn expose(&self) -> &Element {
        self.0.expose()
    }

    /// The patient in one study.
    #[must_use]
    pub fn nullifier(&self, study: &StudyId) -> Nullifier {
        Nullifier(poseidon::hash(Domain::Nullifier, &[*self.0.expose(), study.0]))
    }
}

/// A patient in one study: the same each time, and unlike in any other study.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Nullifier(pub Element);

/// What stands in a credential in the clear of who holds it, beside the slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The key of the holder.
    pub holder: HolderKey,
    /// The first day on which it is valid.
    pub not_before: Day,
    /// The last day on which it is valid.
    pub not_after: Day,
    /// What the slots mean.
    pub schema: SchemaId,
    /// Its place in the issuer's list of revocations: its id among the issuer's credentials.
    pub index: StatusIndex,
}

/// Why an issuer does not sign, or a credential is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// It would end before it begins.
    #[error("the last day of validity is before the first")]
    Validity,
    /// A list that is marked complete is not in order.
    #[error("a list that is marked complete is not in ascending order")]
    Order,
    /// The signature is of another key or other content.
    #[error("the issuer's signature does not hold")]
    Signature,
}

impl From<InvalidSignature> for CredentialError {
    fn from(_: InvalidSignature) -> Self {
        Self::Signature
    }
}

/// A signed statement of an issuer about a patient. No Debug: it is a medical record.
pub struct Credential {
    attributes: Attributes,
    patient: PatientSecret,
    salt: Secret<Element>,
    header: Header,
    issuer: PublicKey,
    signature: Signature,
}

impl Credential {
    /// Signs a credential. The issuer vouches for the slots, for the completeness of the lists that are marked so, and
    /// that `patient` is the person's one name.
    ///
    /// # Errors
    /// [`CredentialError::Validity`] and [`CredentialError::Order`].
    pub fn issue<R: CryptoRng + ?Sized>(
        key: &SigningKey,
        attributes: Attributes,
        patient: PatientSecret,
        header: Header,
        rng: &mut R,
    ) -> Result<Self, CredentialError> {
        if header.not_after < header.not_before {
            return Err(CredentialError::Validity);
        }
        if !attributes.is_ordered() {
            return Err(CredentialError::Order);
        }
        let salt = Secret::new(random(rng));
        let commitment = commitment(&attributes, &patient, salt.expose());
        let signature = key.sign(&message(&commitment, &header), rng);
        Ok(Self { attributes, patient, salt, header, issuer: key.public_key(), signature })
    }

    /// A credential from its parts, as a wallet has them.
    ///
    /// # Errors
    /// [`CredentialError::Signature`] when the parts are not what `issuer` signed.
    pub fn from_parts(
        attributes: Attributes,
        (patient, salt): (PatientSecret, Secret<[u8; ELEMENT_BYTES]>),
        header: Header,
        (issuer, signature): (PublicKey, Signature),
    ) -> Result<Self, CredentialError> {
        let salt = Secret::new(from_bytes(salt.expose()).map_err(|_| CredentialError::Signature)?);
        let credential = Self { attributes, patient, salt, header, issuer, signature };
        credential.verify()?;
        Ok(credential)
    }

    /// A credential that nobody checked.
    #[cfg(test)]
    pub(super) fn unchecked(
        attributes: Attributes,
        (patient, salt): (PatientSecret, Secret<[u8; ELEMENT_BYTES]>),
        header: Header,
        (issuer, signature): (PublicKey, Signature),
    ) -> Self {
        let salt = Secret::new(from_bytes(salt.expose()).unwrap());
        Self { attributes, patient, salt, header, issuer, signature }
    }

    /// Checks the issuer's signature.
    ///
    /// # Errors
    /// [`CredentialError::Signature`].
    pub fn verify(&self) -> Result<(), CredentialError> {
        Ok(self.issuer.verify(&message(&self.commitment(), &self.header), &self.signature)?)
    }

    /// The slots.
    #[must_use]
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// The patient's name.
    #[must_use]
    pub fn patient(&self) -> &PatientSecret {
        &self.patient
    }

    /// What keeps the slots from being guessed from their commitment.
    #[must_use]
    pub fn salt(&self) -> Secret<[u8; ELEMENT_BYTES]> {
        Secret::new(to_bytes(self.salt.expose()))
    }

    pub(super) fn salt_element(&self) -> Element {
        *self.salt.expose()
    }

    /// What stands beside the slots.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Who signed it.
    #[must_use]
    pub fn issuer(&self) -> &PublicKey {
        &self.issuer
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The commitment to slots, completeness and patient: hiding by the salt, and with the header what is signed.
    #[must_use]
    pub fn commitment(&self) -> Element {
        commitment(&self.attributes, &self.patient, self.salt.expose())
    }
}

/// A slot as an element: its place in the order of numbers.
#[must_use]
pub fn slot_element(slot: Slot) -> Element {
    Element::from(slot.position())
}

fn commitment(attributes: &Attributes, patient: &PatientSecret, salt: &Element) -> Element {
    let mut inputs: Vec<Element> = attributes.slots().iter().map(|&slot| slot_element(slot)).collect();
    inputs.extend([Element::from(attributes.complete()), *salt, *patient.expose()]);
    let commitment = poseidon::hash(Domain::Slots, &inputs);
    zeroize::Zeroize::zeroize(&mut inputs);
    commitment
}

/// What an issuer signs: the commitment and the header.
#[must_use]
pub fn message(commitment: &Element, header: &Header) -> Element {
    let inputs = [
        *commitment,
        header.holder.0,
        Element::from(header.not_before.0),
        Element::from(header.not_after.0),
        header.schema.element(),
        Element::from(header.index.get()),
    ];
    poseidon::hash(Domain::Credential, &inputs)
}
