//! Reading JSON that others wrote: objects that are objects, and values that are looked at only when they are wanted.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A value as it stands in the document, borrowed from it and not yet interpreted. `None`: absent, or `null`.
pub(super) type Raw<'a> = Option<&'a RawValue>;

/// A JSON object read as `T`. Derived structs alone would also take an array, field by field in the order they are declared.
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Object)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// An object that was passed over as a value. `None`: not an object, or one that has a field twice.
pub(super) fn object<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok().map(|Object(object)| object)
}

/// The text of a JSON string, borrowed unless something in it is escaped. `None`: not a string, or one with half a surrogate pair in it.
pub(super) fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(serde::Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str(raw.get()).ok().map(|Text(text)| text)
}

/// The text of an opaque value: a string's own, any other value's as it stands in the document.
pub(super) fn opaque(raw: &RawValue) -> Box<str> {
    string(raw).unwrap_or_else(|| raw.get().into()).into()
}
