//! Model tests: the domain and the store against a reference that shares no code with them.
