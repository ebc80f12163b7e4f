//! Breaking good input.
use fastrand::Rng;

/// No input grows beyond this, so that a run stays short.
const MAX_BYTES: usize = 64 << 10;

/// Numbers at which sizes and offsets go wrong.
const EDGES: [u64; 8] = [
    0,
    1,
    0x7f,
    0xff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    0xffff_ffff_ffff_ffff,
];

/// A seed, changed in one to eight places.
pub(crate) fn mutated(corpus: &[Vec<u8>], words: &[&[u8]], random: &mut Rng) -> Vec<u8> {
    let mut input = random.choice(corpus).cloned().unwrap_or_default();
    for _ in 0..random.usize(1..=8) {
        mutate(&mut input, corpus, words, random);
    }
    input.truncate(MAX_BYTES);
    input
}

fn mutate(input: &mut Vec<u8>, corpus: &[Vec<u8>], words: &[&[u8]], random: &mut Rng) {
    let at = random.usize(..=input.len());
    let end = random.usize(at..=input.len().min(at + 64));
    match random.u8(..9) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.u8(..8);
            }
        }
        1 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = random.u8(..);
            }
        }
        2 => input.truncate(at),
        3 => drop(input.drain(at..end)),
        4 => {
            let part = input.get(at..end).unwrap_or_default().to_vec();
            let to = random.usize(..=input.len());
            input.splice(to..to, part);
        }
        5 => {
            let noise: Vec<u8> = (0..random.usize(..16)).map(|_| random.u8(..)).collect();
            input.splice(at..end, noise);
        }
        6 => {
            if let Some(word) = random.choice(words) {
                let to = if random.bool() { at } else { end };
                input.splice(at..to, word.iter().copied());
            }
        }
        7 => {
            // The other seed's tail: two good halves that do not belong together.
            if let Some(other) = random.choice(corpus) {
                let from = random.usize(..=other.len());
                input.truncate(at);
                input.extend(other.get(from..).unwrap_or_default());
            }
        }
        _ => {
            let edge = random.choice(EDGES).unwrap_or_default().to_le_bytes();
            let width = random.choice([1, 2, 4, 8]).unwrap_or(1);
            let places = input.iter_mut().skip(at).take(width);
            places.zip(edge).for_each(|(place, byte)| *place = byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_inputs() {
        let corpus = [b"one seed".to_vec(), b"another".to_vec()];
        let inputs = |seed| {
            let mut random = Rng::with_seed(seed);
            let make = |_| mutated(&corpus, &[b"word"], &mut random);
            (0..1000).map(make).collect::<Vec<_>>()
        };
        assert_eq!(inputs(7), inputs(7));
        assert_ne!(inputs(7), inputs(8));
    }

    #[test]
    fn nothing_is_too_small_to_be_changed() {
        let mut random = Rng::with_seed(1);
        let inputs: Vec<_> = (0..1000)
            .map(|_| mutated(&[Vec::new()], &[], &mut random))
            .collect();
        assert!(inputs.iter().any(|input| !input.is_empty()));
        assert!(mutated(&[], &[], &mut random).len() <= 8 * 16);
    }
}
