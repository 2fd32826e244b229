//! The rules, by what they keep.

mod citations;
mod documents;
mod edges;
mod layers;
mod layout;
mod machine;
mod printing;
mod reachability;
mod sizes;
