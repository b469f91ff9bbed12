//! Names that somebody may have meant: of a symbol that is asked for and that there is not.
//!
//! People mistype names, leave out an underscore, and ask for C++ functions by what they are called in the source (`ns::add(int)`), not by
//! what compilers make of it (`_ZN2ns3addEi`). Both are found among the names that there are: the former by counting letters, the latter
//! by making the beginning of the mangled name (Itanium C++ ABI, "External Names"). An error of a link asks this, and so does an image
//! that lacks a symbol. It knows names and nothing else.

use std::fmt::Write as _;

/// Names that are as good as each other are told up to this number.
const MOST: usize = 3;

/// Longer names are made by machines.
const LONGEST: usize = 64;

/// What may have been meant by a name that there is not.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Similar {
    /// The best first.
    pub names: Vec<String>,
    /// Whether these are mangled names of what was asked for as C++ has it.
    pub is_mangled: bool,
}

impl Similar {
    /// Looks among `names` for what may have been meant by `wanted`.
    pub fn among<'n>(wanted: &str, names: impl Iterator<Item = &'n str> + Clone) -> Self {
        let mangled = mangled(wanted, names.clone());
        if !mangled.is_empty() {
            return Self {
                names: mangled,
                is_mangled: true,
            };
        }
        Self {
            names: alike(wanted, names),
            is_mangled: false,
        }
    }

    /// What to tell a person; `None` if there is nothing.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        let (last, others) = self.names.split_last()?;
        let names = match others {
            [] => last.clone(),
            others => format!("{} or {last}", others.join(", ")),
        };
        Some(if self.is_mangled {
            format!("C++ mangles names: ask for {names}, or declare it extern \"C\"")
        } else {
            format!("did you mean {names}?")
        })
    }
}

/// The names that differ least, if that is little.
fn alike<'n>(wanted: &str, names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let most = match wanted.len() {
        0 | 1 => return Vec::new(),
        length if length > LONGEST => return Vec::new(),
        length => (length / 4).clamp(1, 3),
    };
    let close = names.filter_map(|name| Some((difference(wanted, name, most)?, name)));
    best(close)
}

/// How much a name differs, if that is at most `most` letters, or the case, or what follows.
fn difference(wanted: &str, name: &str, most: usize) -> Option<usize> {
    if name.eq_ignore_ascii_case(wanted) || name.trim_start_matches('_') == wanted {
        return Some(0);
    }
    if name.len().abs_diff(wanted.len()) <= most {
        let letters = distance(wanted.as_bytes(), name.as_bytes());
        if letters <= most {
            return Some(letters);
        }
    }
    // `adler` for `adler32`.
    (wanted.len() > most + 2 && name.starts_with(wanted)).then_some(most + 1)
}

/// The names of the lowest rank, in their order.
fn best<'n>(ranked: impl Iterator<Item = (usize, &'n str)>) -> Vec<String> {
    let mut ranked: Vec<_> = ranked.collect();
    ranked.sort_unstable();
    ranked.dedup();
    let first = ranked.first().map(|(rank, _)| *rank);
    let ranked = ranked.into_iter();
    let equal = ranked.take_while(|(rank, _)| Some(*rank) == first);
    equal.take(MOST).map(|(_, name)| name.to_owned()).collect()
}

/// How many letters have to be put in, taken out, replaced or swapped with the next to make one name of the other.
pub(crate) fn distance(one: &[u8], other: &[u8]) -> usize {
    let mut before: Vec<usize> = vec![0; other.len() + 1];
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, letter) in one.iter().enumerate() {
        let mut line = vec![i + 1];
        for (j, with) in other.iter().enumerate() {
            let replaced = last[j] + usize::from(letter != with);
            let mut least = replaced.min(last[j + 1] + 1).min(line[j] + 1);
            let is_swapped = i > 0 && j > 0 && *letter == other[j - 1] && one[i - 1] == *with;
            if is_swapped {
                least = least.min(before[j - 1] + 1);
            }
            line.push(least);
        }
        before = std::mem::replace(&mut last, line);
    }
    last[other.len()]
}

/// The mangled names of a function or variable that is called `wanted` in C++: those with its parameters, if it says them and they are
/// simple, else all.
fn mangled<'n>(wanted: &str, names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let Some(source) = SourceName::read(wanted) else {
        return Vec::new();
    };
    best(names.filter_map(|name| Some((source.rank(name)?, name))))
}

/// A name as it stands in a C++ source.
struct SourceName {
    /// The scopes and the name itself, each with its length before it: `2ns3add`.
    path: String,
    /// How many scopes there are.
    scopes: usize,
    /// The parameters as they are mangled, if they were said and are simple.
    parameters: Option<String>,
}

impl SourceName {
    fn read(wanted: &str) -> Option<Self> {
        let wanted = wanted.trim();
        let (name, parameters) = match wanted.split_once('(') {
            Some((name, rest)) => (name, Some(rest.split(')').next()?)),
            None => (wanted, None),
        };
        // What stands before the last space is the type of the result.
        let name = name.trim().rsplit(' ').next()?;
        let mut path = String::new();
        let mut parts = 0;
        for part in name.split("::") {
            let part = part.split('<').next()?;
            let is_name = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
            if part.is_empty() || !part.bytes().all(is_name) {
                return None;
            }
            let _ = write!(path, "{}{part}", part.len());
            parts += 1;
        }
        Some(Self {
            path,
            scopes: parts - 1,
            parameters: parameters.and_then(mangled_parameters),
        })
    }

    /// How well a mangled name fits, 0 for the best; `None` if it is another name.
    fn rank(&self, name: &str) -> Option<usize> {
        let rest = name.strip_prefix("_Z")?;
        let (rest, is_as_written) = match rest.strip_prefix('N') {
            None => (
                rest.strip_prefix('L')
                    .unwrap_or(rest)
                    .strip_prefix(&self.path)?,
                self.scopes == 0,
            ),
            Some(nested) => {
                let nested = nested.trim_start_matches(['K', 'V', 'r']);
                let at = nested.find(&self.path)?;
                // A digit before it belongs to the length of another name.
                if nested[..at].ends_with(|letter: char| letter.is_ascii_digit()) {
                    return None;
                }
                let rest = &nested[at + self.path.len()..];
                let rest = rest
                    .strip_prefix('E')
                    .or_else(|| rest.starts_with('I').then_some(rest))?;
                (rest, at == 0 && self.scopes > 0)
            }
        };
        let fits = self
            .parameters
            .as_deref()
            .is_none_or(|parameters| rest == parameters);
        Some(usize::from(!fits) * 2 + usize::from(!is_as_written))
    }
}

/// The parameters as they are mangled; `None` if one is no pointer or reference to, nor itself, a type that the language brings.
fn mangled_parameters(parameters: &str) -> Option<String> {
    let parameters = parameters.trim();
    if parameters.is_empty() || parameters == "void" {
        return Some("v".to_owned());
    }
    parameters.split(',').map(mangled_type).collect()
}

fn mangled_type(name: &str) -> Option<String> {
    const TYPES: [(&str, char); 24] = [
        ("void", 'v'),
        ("bool", 'b'),
        ("char", 'c'),
        ("signed char", 'a'),
        ("unsigned char", 'h'),
        ("short", 's'),
        ("unsigned short", 't'),
        ("int", 'i'),
        ("unsigned", 'j'),
        ("unsigned int", 'j'),
        ("long", 'l'),
        ("long int", 'l'),
        ("unsigned long", 'm'),
        ("unsigned long int", 'm'),
        ("size_t", 'm'),
        ("long long", 'x'),
        ("unsigned long long", 'y'),
        ("int32_t", 'i'),
        ("uint32_t", 'j'),
        ("int64_t", 'l'),
        ("uint64_t", 'm'),
        ("float", 'f'),
        ("double", 'd'),
        ("long double", 'e'),
    ];
    let name = name.trim();
    for (suffix, letter) in [("*", 'P'), ("&", 'R')] {
        if let Some(inner) = name.strip_suffix(suffix) {
            return Some(format!("{letter}{}", mangled_type(inner)?));
        }
    }
    let bare = name
        .strip_prefix("const ")
        .or_else(|| name.strip_suffix(" const"));
    if let Some(bare) = bare {
        return Some(format!("K{}", mangled_type(bare)?));
    }
    let found = TYPES.iter().find(|(known, _)| *known == name);
    found.map(|(_, letter)| letter.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn similar(wanted: &str, names: &[&str]) -> Vec<String> {
        Similar::among(wanted, names.iter().copied()).names
    }

    #[test]
    fn names_differ_by_as_many_letters_as_have_to_change() {
        for (one, other, expected) in [
            ("compute", "compute", 0),
            ("compute", "comptue", 1),
            ("compute", "computes", 1),
            ("compute", "conpite", 2),
            ("", "abc", 3),
        ] {
            let found = distance(one.as_bytes(), other.as_bytes());
            assert_eq!(found, expected, "{other}");
        }
    }

    #[test]
    fn a_misspelt_name_finds_the_nearest_and_only_those() {
        let names = ["add", "and_then", "crc32", "crc32_z", "adler32", "_start"];
        assert_eq!(similar("ad", &names), ["add"]);
        assert_eq!(similar("CRC32", &names), ["crc32"]);
        assert_eq!(similar("cr32", &names), ["crc32"]);
        assert_eq!(similar("adler", &names), ["adler32"]);
        assert_eq!(similar("start", &names), ["_start"]);
        assert!(similar("multiply", &names).is_empty());
        assert!(similar("x", &names).is_empty());
        assert_eq!(
            similar("crc33", &["crc31", "crc32", "crc34", "crc35"]),
            ["crc31", "crc32", "crc34"]
        );
    }

    #[test]
    fn a_name_of_a_cpp_source_finds_what_compilers_make_of_it() {
        // As g++ 12 mangles them.
        let names = [
            "_Z3addii",
            "_Z3adddd",
            "_ZN2ns3addEi",
            "_ZNK4Both3addEv",
            "_Z4sizePKc",
            "_ZN4BothC1Ei",
            "_ZL5localv",
            "_Z3maxIiET_S0_S0_",
            "_ZN12ns3add5otherEv",
        ];
        assert_eq!(similar("add(int, int)", &names), ["_Z3addii"]);
        assert_eq!(similar("int add(int, int)", &names), ["_Z3addii"]);
        assert_eq!(similar("add", &names), ["_Z3adddd", "_Z3addii"]);
        assert_eq!(similar("ns::add", &names), ["_ZN2ns3addEi"]);
        assert_eq!(similar("ns::add(int)", &names), ["_ZN2ns3addEi"]);
        assert_eq!(similar("Both::add()", &names), ["_ZNK4Both3addEv"]);
        assert_eq!(similar("size(const char *)", &names), ["_Z4sizePKc"]);
        assert_eq!(similar("local", &names), ["_ZL5localv"]);
        assert_eq!(similar("max", &names), ["_Z3maxIiET_S0_S0_"]);
        assert_eq!(similar("max<int>", &names), ["_Z3maxIiET_S0_S0_"]);
        assert!(similar("ns::sub", &names).is_empty());
    }

    #[test]
    fn the_advice_says_what_to_ask_for() {
        let advice =
            |wanted, names: &[&'static str]| Similar::among(wanted, names.iter().copied()).advice();
        assert_eq!(advice("ad", &["add"]).as_deref(), Some("did you mean add?"));
        let mangled = advice("add(int)", &["_Z3addi"]).unwrap();
        assert!(mangled.contains("ask for _Z3addi"), "{mangled}");
        assert_eq!(advice("ad", &["multiply"]), None);
    }
}
