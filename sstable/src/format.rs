//! Layout constants of everything that FORMAT.md describes.

mod chunk;
mod record;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use chunk::*;
pub use chunk::{CHUNK_SAMPLES_MAX, CHUNK_VALUE_BYTES_MAX, SAMPLE_VALUE_BYTES_MAX};
pub(crate) use record::*;
pub use record::{BIN_ROWS_MAX, BinField, CARRIED_VALUE_BYTES_MAX};
pub(crate) use table::*;

/// Tags of one table of FORMAT.md: an enum with its tags, both directions and all names.
macro_rules! tags {
    ($(#[$outer:meta])* pub $name:ident $body:tt) => {
        $crate::format::tags! { @make $(#[$outer])* [pub] $name $body }
    };
    (@make $(#[$outer:meta])* [$vis:vis] $name:ident { $($(#[$inner:meta])* $variant:ident = $tag:literal,)+ }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        #[repr(u8)]
        $vis enum $name { $($(#[$inner])* $variant = $tag,)+ }

        impl $name {
            /// Every one, in the order of FORMAT.md.
            $vis const ALL: [$name; [$($tag),+].len()] = [$($name::$variant),+];

            /// From its tag.
            pub(crate) fn from_tag(tag: u8) -> Option<$name> {
                $name::ALL.into_iter().find(|known| *known as u8 == tag)
            }
        }
    };
    ($(#[$outer:meta])* $name:ident $body:tt) => {
        $crate::format::tags! { @make $(#[$outer])* [pub(crate)] $name $body }
    };
}
pub(crate) use tags;
