//! The macro that declares records.

/// Declares jute records. One list of fields yields the struct, its encoder and its decoder.
///
/// The order of the fields *is* the wire format: never sort them, never insert one.
macro_rules! records {
    ($($(#[$about:meta])* $name:ident $(<$life:lifetime>)? {
        $($(#[$note:meta])* $field:ident: $type:ty,)*
    })*) => {$(
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name $(<$life>)? { $($(#[$note])* pub $field: $type,)* }

        impl<'a> $crate::wire::jute::Record<'a> for $name $(<$life>)? {
            #[inline]
            fn encode(&self, _out: &mut $crate::wire::jute::Writer<'_>) {
                $($crate::wire::jute::Record::encode(&self.$field, _out);)*
            }
            #[inline]
            fn decode(
                _input: &mut $crate::wire::jute::Reader<'a>,
            ) -> Result<Self, $crate::wire::jute::DecodeError> {
                Ok(Self { $($field: $crate::wire::jute::Record::decode(_input)?,)* })
            }
            #[inline]
            fn skip(
                _input: &mut $crate::wire::jute::Reader<'a>,
            ) -> Result<(), $crate::wire::jute::DecodeError> {
                $(<$type as $crate::wire::jute::Record<'a>>::skip(_input)?;)*
                Ok(())
            }
        }
    )*};
}

pub(crate) use records;
