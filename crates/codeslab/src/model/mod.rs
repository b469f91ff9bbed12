//! Values that everything else speaks in.

/// Declares an enum whose variants have names for programs. The names stand beside the variants and nowhere else.
macro_rules! named {
    (
        $(#[$about:meta])*
        pub enum $type:ident { $($(#[$of_variant:meta])* $variant:ident = $name:literal,)+ }
    ) => {
        $(#[$about])*
        pub enum $type {
            $($(#[$of_variant])* $variant,)+
        }

        impl $type {
            /// All of them, in their order.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            #[doc = concat!("A name for programs:", $(" `", $name, "`",)+ ".")]
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// The one of that name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|one| one.name() == name)
            }
        }
    };
}

/// Has values displayed by their names.
macro_rules! displayed_by_name {
    ($($type:ident),+) => {
        $(impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        })+
    };
}

pub(crate) mod address;
pub(crate) mod architecture;
pub(crate) mod error;
pub(crate) mod layout;
pub(crate) mod options;
pub(crate) mod page;
pub(crate) mod protection;
pub(crate) mod stats;
pub(crate) mod writer;

use architecture::{Architecture, CodeModel};
use protection::Protection;
use writer::Writer;

displayed_by_name!(Architecture, CodeModel, Protection, Writer);
