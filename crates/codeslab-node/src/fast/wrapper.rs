//! The JavaScript around a function of V8: what it checks before it calls, and what it makes of the result.
//!
//! The checks are those of `argument`, in terms that optimized code has for nothing: a value that passes crosses as it is. What does not
//! pass goes to `slow`, which knows what else fits (a number for a 64-bit integer) and throws for the rest. Before the call the
//! number is stored where other threads look, afterwards 0; nothing can interrupt optimized code between the two.
//!
//! A function is made in a fifth of the time that `defineProperty` would take: its properties are assigned, where nothing on the prototype
//! would see that, and it is frozen.

use crate::signed::Signed;
use crate::v8::{Type, V8};
use codeslab_call::{FastTable, Kind};

/// A wrapper, to be compiled.
#[derive(Debug)]
pub(super) struct Wrapper {
    /// A script that evaluates to a function of the tools and the function of V8, which returns what makes functions of numbers.
    pub(super) source: String,
    /// The thunk, the type of its result and those of its parameters, the number included. `None` if no call can be fast.
    pub(super) target: Option<(u64, Type, Vec<Type>)>,
}

/// How values of a type cross.
struct Crossing {
    v8: Type,
    /// Whether `$` passes, and what is passed then.
    check: &'static str,
    pass: &'static str,
    /// What is made of `$` that passed, to be passed once more: the same, so that V8 need not make an object of it before the call.
    again: &'static str,
    /// What is made of a result.
    result: &'static str,
    /// What is made of `$`, a result that is one already, where it is compiled beside a fast call's: what gets either knows its type then, and
    /// keeps it in a register.
    other: &'static str,
}

/// The wrapper of a signature.
pub(super) fn of(signed: &Signed, v8: &V8, table: &FastTable) -> Wrapper {
    let parameters = signed.signature.parameters();
    let kinds: Vec<Kind> = parameters
        .iter()
        .map(|parameter| parameter.kind())
        .collect();
    let names: Vec<String> = (0..kinds.len()).map(|index| format!("a{index}")).collect();
    let target = target(signed, &kinds, v8.has_bigints(), table);
    let fast = target
        .as_ref()
        .and_then(|_| fast_part(signed, &kinds, &names, v8));
    let list = names.join(", ");
    let all = [&[String::from("number")], &names[..]].concat().join(", ");
    let call = format!("slow({all})");
    let result = crossing(signed.signature.result());
    let slow = result.as_ref();
    let slow = slow.filter(|_| fast.is_some() && v8.compiles_unreached());
    let slow = slow.map(|crossing| crossing.other.replace('$', &call));
    let source = format!(
        "(({{ words, slow, start, settle, miscount, asIntN, asUintN, fround, defineProperty, freeze }}, call) =>
{{
  const finish = (result, {all}) => (settle() ? slow({all}) : {finished})
  return (number, keeper, name, pointer) => {{
    'use strict'
    const made = {{
      [name]({list}) {{
        if (arguments.length !== {count}) return miscount(number, arguments.length, keeper)
        {fast}return {slow}
      }},
    }}[name]
    const {{ async }} = {{
      async({list}) {{
        if (arguments.length !== {count}) return miscount(number, arguments.length, keeper)
        return start({all})
      }},
    }}
    if ('pointer' in made || 'async' in made) {{
      defineProperty(made, 'pointer', {{ __proto__: null, value: pointer, enumerable: true }})
      defineProperty(made, 'async', {{ __proto__: null, value: async, enumerable: true }})
    }} else {{
      made.pointer = pointer
      made.async = async
    }}
    return freeze(made)
  }}
}})
//# sourceURL=codeslab:{name}",
        count = kinds.len(),
        fast = fast.unwrap_or_default(),
        finished = result.as_ref().map_or("result", |crossing| crossing.result),
        slow = slow.unwrap_or(call),
        name = signed.name,
    );
    Wrapper { source, target }
}

/// What runs if all values pass.
fn fast_part(signed: &Signed, kinds: &[Kind], names: &[String], v8: &V8) -> Option<String> {
    let (mut checks, mut passed) = (vec!["true".to_owned()], vec!["number".to_owned()]);
    let mut again = passed.clone();
    for (kind, name) in kinds.iter().zip(names) {
        let crossing = crossing(*kind)?;
        checks.push(crossing.check.replace('$', name));
        passed.push(crossing.pass.replace('$', name));
        again.push(crossing.again.replace('$', name));
    }
    let (checks, passed) = (checks.join(" && "), passed.join(", "));
    let Crossing { result, other, .. } = crossing(signed.signature.result())?;
    let end = if v8.compiles_unreached() {
        let finished = format!("finish(result, {})", again.join(", "));
        format!(
            "if (words[1] === 0) return {result}
          return {}",
            other.replace('$', &finished)
        )
    } else {
        format!("if (words[1] === 0 || !settle()) return {result}")
    };
    Some(format!(
        "if ({checks}) {{
          words[0] = number
          const result = call({passed})
          words[0] = 0
          {end}
        }}
        "
    ))
}

fn target(
    signed: &Signed,
    kinds: &[Kind],
    has_bigints: bool,
    table: &FastTable,
) -> Option<(u64, Type, Vec<Type>)> {
    signed.may_be_fast.then_some(())?;
    let type_of = |kind| {
        let v8 = crossing(kind)?.v8;
        (has_bigints || !matches!(v8, Type::Int64 | Type::Uint64)).then_some(v8)
    };
    let types = kinds.iter().map(|kind| type_of(*kind));
    let types: Option<Vec<Type>> = std::iter::once(Some(Type::Int32)).chain(types).collect();
    let thunk = table.thunk(kinds.iter().copied())?;
    Some((thunk, type_of(signed.signature.result())?, types?))
}

/// How values of a type cross without Node-API; `None` if they do not.
fn crossing(kind: Kind) -> Option<Crossing> {
    let crossing = |v8, check, pass, again, result, other| {
        Some(Crossing {
            v8,
            check,
            pass,
            again,
            result,
            other,
        })
    };
    let signed = |check, result| crossing(Type::Int32, check, "$ | 0", "$ | 0", result, "$ | 0");
    let unsigned =
        |check, result| crossing(Type::Uint32, check, "$ >>> 0", "$ >>> 0", result, "$ >>> 0");
    match kind {
        Kind::Void => crossing(Type::Void, "", "", "", "undefined", "void $"),
        Kind::Int8 => signed(
            "typeof $ === 'number' && ($ << 24 >> 24) === $",
            "result << 24 >> 24",
        ),
        Kind::Int16 => signed(
            "typeof $ === 'number' && ($ << 16 >> 16) === $",
            "result << 16 >> 16",
        ),
        Kind::Int32 => signed("typeof $ === 'number' && ($ | 0) === $", "result"),
        Kind::Uint8 => unsigned("typeof $ === 'number' && ($ & 0xff) === $", "result & 0xff"),
        Kind::Uint16 => unsigned(
            "typeof $ === 'number' && ($ & 0xffff) === $",
            "result & 0xffff",
        ),
        Kind::Uint32 => unsigned("typeof $ === 'number' && ($ >>> 0) === $", "result"),
        Kind::Int64 => crossing(
            Type::Int64,
            "typeof $ === 'bigint' && asIntN(64, $) === $",
            "$",
            "$",
            "result",
            "asIntN(64, $)",
        ),
        Kind::Uint64 => crossing(
            Type::Uint64,
            "typeof $ === 'bigint' && asUintN(64, $) === $",
            "$",
            "$",
            "result",
            "asUintN(64, $)",
        ),
        Kind::Float32 => crossing(
            Type::Float32,
            "typeof $ === 'number' && (fround($) - fround($) === 0 || $ - $ !== 0)",
            "fround($)",
            "$ - 0",
            "result",
            "+$",
        ),
        Kind::Float64 => crossing(
            Type::Float64,
            "typeof $ === 'number'",
            "$",
            "$ - 0",
            "result",
            "+$",
        ),
        Kind::Pointer | Kind::Structure => None,
    }
}
