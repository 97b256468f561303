//! Numbers ⇄ bytes: how a tensor's values are written.
//!
//! The plain codecs: little-endian `f32`, and `bf16` rounded to nearest, ties to even.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the values of an update travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    /// 4 bytes a value, exact.
    #[default]
    F32,
    /// 2 bytes a value: the upper half of an f32, with a relative error of at most 2⁻⁸. A value beyond the largest bf16
    /// becomes that.
    Bf16,
}

impl Codec {
    /// Bytes of one value.
    pub fn width(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }

    /// Appends the bytes of `values` to `out`.
    pub fn encode(self, values: &[f32], out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + values.len() * self.width(), 0);
        let out = &mut out[start..];
        match self {
            Self::F32 => {
                out.as_chunks_mut().0.iter_mut().zip(values).for_each(|(out, value)| *out = value.to_le_bytes())
            }
            Self::Bf16 => {
                out.as_chunks_mut()
                    .0
                    .iter_mut()
                    .zip(values)
                    .for_each(|(out, value)| *out = to_bf16(*value).to_le_bytes());
            }
        }
    }

    /// Reads `bytes` into `out`. Both must have as many values; the caller has checked the lengths.
    pub fn decode(self, bytes: &[u8], out: &mut [f32]) {
        debug_assert_eq!(bytes.len(), out.len() * self.width());
        match self {
            Self::F32 => {
                out.iter_mut().zip(bytes.as_chunks().0).for_each(|(out, bytes)| *out = f32::from_le_bytes(*bytes));
            }
            Self::Bf16 => {
                let halves = bytes.as_chunks().0.iter().map(|bytes| u16::from_le_bytes(*bytes));
                out.iter_mut().zip(halves).for_each(|(out, half)| *out = f32::from_bits(u32::from(half) << 16));
            }
        }
    }
}

/// The upper half of an f32, rounded to nearest, ties to even. NaN stays NaN.
fn to_bf16(value: f32) -> u16 {
    // Without branches, so that it can run in vector registers.
    let (bits, magnitude) = (value.to_bits(), value.abs().to_bits());
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    let infinity = f32::INFINITY.to_bits();
    let too_large = (infinity - 0x8000..infinity).contains(&magnitude);
    let half = rounded - u32::from(too_large);
    let nan = bits >> 16 | 0x40;
    (if magnitude > infinity { nan } else { half }) as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round_trip(codec: Codec, values: &[f32]) -> Vec<f32> {
        let mut bytes = Vec::new();
        codec.encode(values, &mut bytes);
        assert_eq!(bytes.len(), values.len() * codec.width());
        let mut out = vec![0.0; values.len()];
        codec.decode(&bytes, &mut out);
        out
    }

    #[test]
    fn bf16_rounds_to_nearest_with_ties_to_even() {
        let ulp = 2f32.powi(-7);
        assert_eq!(
            round_trip(Codec::Bf16, &[1.0, 1.0 + ulp / 2.0, 1.0 + ulp * 1.5, 1.0 + ulp * 0.51]),
            [1.0, 1.0, 1.0 + 2.0 * ulp, 1.0 + ulp]
        );
    }

    #[test]
    fn bf16_keeps_what_is_not_a_number_and_what_is_too_large() {
        let coded = round_trip(Codec::Bf16, &[f32::NAN, f32::INFINITY, f32::MAX, -0.0, f32::from_bits(0x7f80_0001)]);
        assert!(coded[0].is_nan() && coded[4].is_nan());
        let largest = f32::from_bits(0x7f7f_0000);
        assert_eq!((coded[1], coded[2], coded[3].to_bits()), (f32::INFINITY, largest, (-0f32).to_bits()));
        assert_eq!(round_trip(Codec::Bf16, &[f32::MIN, f32::NEG_INFINITY]), [-largest, f32::NEG_INFINITY]);
    }

    proptest! {
        #[test]
        fn f32_is_exact(values in prop::collection::vec(any::<f32>(), 0..50)) {
            let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&round_trip(Codec::F32, &values)), bits(&values));
        }

        #[test]
        fn bf16_is_near_and_stable(values in prop::collection::vec(-1e30f32..1e30, 0..50)) {
            let once = round_trip(Codec::Bf16, &values);
            for (value, coded) in values.iter().zip(&once) {
                prop_assert!((value - coded).abs() <= value.abs() / 256.0 + f32::MIN_POSITIVE);
            }
            prop_assert_eq!(&round_trip(Codec::Bf16, &once), &once);
        }
    }
}
