//! Traces: the sections of real objects, one object a line. `bench/trace.ts` makes them and documents the format.

use std::error::Error;
use std::fs;

/// What one object asks for: code, constants and data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Object {
    pub parts: [Part; 3],
}

/// All that an object has of one protection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub size: usize,
    pub align: usize,
}

impl Object {
    pub(crate) fn size(&self) -> usize {
        self.parts.iter().map(|part| part.size).sum()
    }
}

/// Reads a trace.
pub(crate) fn read(path: &str) -> Result<Vec<Object>, Box<dyn Error>> {
    fs::read_to_string(path)?
        .lines()
        .enumerate()
        .map(|(index, line)| {
            parse(line).ok_or_else(|| format!("{path}:{}: not a trace line", index + 1).into())
        })
        .collect()
}

fn parse(line: &str) -> Option<Object> {
    let mut fields = line.split(' ').map_while(|field| field.parse().ok());
    let mut part = || {
        Some(Part {
            size: fields.next()?,
            align: fields
                .next()
                .filter(|align: &usize| align.is_power_of_two())?,
        })
    };
    Some(Object {
        parts: [part()?, part()?, part()?],
    })
}

/// Something to copy from: as many bytes as the largest part has, all of them touched.
pub(crate) fn source(objects: &[Object]) -> Vec<u8> {
    let largest = objects
        .iter()
        .flat_map(|object| object.parts)
        .map(|part| part.size)
        .max();
    vec![0xC3; largest.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_three_parts_a_count_and_a_name() {
        let object = parse("60 16 88 8 12 4 8 init first.o").expect("a good line");
        assert_eq!(object.size(), 160);
        assert_eq!(object.parts[2].align, 4);
    }

    #[test]
    fn a_line_with_an_impossible_alignment_or_too_few_fields_is_refused() {
        assert!(parse("60 16 88 7 12 4 8 a.o").is_none());
        assert!(parse("60 16 88 8 12").is_none());
    }
}
