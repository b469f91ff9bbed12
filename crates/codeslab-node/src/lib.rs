//! Codeslab for Node: converts types and decides nothing.
//!
//! In the order in which a call travels: `node_api` (Node's C functions, made safe) · `load`, `handles` and `environment` (what
//! the JavaScript of one thread holds, and what V8 is told of it) · `error` and `throw` (what JavaScript sees when something is
//! refused) · `registry`, `published` and `handle` (who holds what, across threads) · `views` and `enums` (how arguments and
//! results cross) · `permanent`, `v8`, `signed` and `fast` (calls that need no Node-API) · `argument`, `answer` and `later` (values of calls, JavaScript
//! that native code calls, calls on other threads) · `function` and `callback` (both directions, by `codeslab-call`) · `tools` (who else is told of code), `memory`,
//! `allocation` with `life`, `graph`, `image` with `inputs` (one function each for what `index.ts` needs). The classes that users see are TypeScript: plain functions on externals cost a fraction of native
//! classes, and addresses are read from JavaScript objects.

// `#[napi]` wants `pub`, and nothing can reach into a cdylib.
#![allow(unreachable_pub)]
// Test builds export nothing, so nothing there calls what Node would.
#![cfg_attr(test, allow(dead_code))]
// `#[napi]` makes owned values of what JavaScript passes.
#![allow(clippy::needless_pass_by_value)]
// JavaScript's numbers are doubles. `index.ts` has checked that these are whole, not negative and safe; a cast saturates.
#![allow(clippy::cast_sign_loss)]

mod allocation;
mod answer;
mod argument;
mod callback;
mod data;
mod enums;
mod environment;
mod error;
mod fast;
mod function;
mod grace;
mod graph;
mod handle;
mod handles;
mod image;
mod inputs;
mod inspection;
mod later;
mod lent;
mod life;
mod live;
mod load;
mod loaded;
mod lookup;
mod memory;
mod node_api;
mod parsed;
mod permanent;
mod places;
mod process;
mod published;
mod registry;
mod sections;
mod shared;
mod sharing;
mod signed;
mod slot;
mod throw;
mod tools;
mod v8;
mod views;
