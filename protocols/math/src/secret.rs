//! Secret values.

use zeroize::Zeroize;

/// A value that is wiped when dropped and that cannot be printed, copied, compared or serialized.
///
/// # Security
/// Guards against leaks by accident (logs, error messages, forgotten copies), not against an attacker who
/// reads the process's memory while the value lives.
///
/// ```compile_fail
/// let s = ward_math::Secret::new([0u8; 32]);
/// println!("{s:?}"); // no Debug
/// ```
/// ```compile_fail
/// let s = ward_math::Secret::new([0u8; 32]);
/// println!("{s}"); // no Display
/// ```
/// ```compile_fail
/// let s = ward_math::Secret::new([0u8; 32]);
/// let t = s.clone(); // no Clone
/// ```
/// ```compile_fail
/// let (s, t) = (ward_math::Secret::new([0u8; 32]), ward_math::Secret::new([0u8; 32]));
/// assert!(s == t); // no PartialEq
/// ```
/// ```
/// let s = ward_math::Secret::new([7u8; 32]);
/// assert_eq!(s.expose()[0], 7); // exposing is visible in the source
/// ```
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes charge of `value`. The caller sees to it that no other copy stays behind.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value. Every call is a place to review.
    #[must_use]
    pub fn expose(&self) -> &T {
        &self.0
    }

    /// The value, to be filled or changed in place.
    #[must_use]
    pub fn expose_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
