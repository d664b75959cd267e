//! Closed lists of codes, such as the reasons of an offer, each defined by one table.

/// Defines an enum from a table: each line gives a variant, the code that is printed, and
/// `$columns` texts.
///
/// The enum prints and serializes as its code. `ALL` keeps the order of the table, and the private
/// `texts` returns the texts of a line. The first text is also the documentation of the variant.
macro_rules! closed_list {
    (
        $(#[$attribute:meta])*
        $name:ident: $(#[$texts:meta])* [$columns:literal]
        $(#[$all:meta])*
        ALL
        $($variant:ident = $code:literal: $first:literal $(, $more:literal)*;)*
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum $name {
            $(#[doc = $first] $variant,)*
        }

        impl $name {
            $(#[$all])*
            pub(crate) const ALL: [Self; [$($code),*].len()] = [$(Self::$variant),*];

            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            $(#[$texts])*
            fn texts(self) -> [&'static str; $columns] {
                match self { $(Self::$variant => [$first $(, $more)*],)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

pub(crate) use closed_list;
