//! Tests of the pool against a naive reference: the pure domain, then the store on the embedded
//! engine, then many clients at once.
