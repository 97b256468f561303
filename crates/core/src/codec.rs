//! Numbers ⇄ bytes: how a tensor's values are written.
//!
//! The plain codecs: little-endian `f32`, and `bf16` rounded to nearest, ties to even.

use half::{bf16, slice::HalfFloatSliceExt as _};
use serde::{Deserialize, Serialize};

/// How the values of an update travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    /// 4 bytes a value, exact.
    #[default]
    F32,
    /// 2 bytes a value: the upper half of an f32, with a relative error of at most 2⁻⁸.
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
        out.reserve(values.len() * self.width());
        match self {
            Self::F32 => values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes())),
            Self::Bf16 => {
                values.iter().for_each(|value| out.extend_from_slice(&bf16::from_f32(*value).to_le_bytes()));
            }
        }
    }

    /// Reads `bytes` into `out`. Both must have as many values; the caller has checked the lengths.
    pub fn decode(self, bytes: &[u8], out: &mut [f32]) {
        debug_assert_eq!(bytes.len(), out.len() * self.width());
        match self {
            Self::F32 => {
                let values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
                out.iter_mut().zip(values).for_each(|(out, value)| *out = value);
            }
            Self::Bf16 => {
                let values: Vec<bf16> = bytes.chunks_exact(2).map(|b| bf16::from_le_bytes([b[0], b[1]])).collect();
                values.convert_to_f32_slice(out);
            }
        }
    }
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
        assert_eq!(round_trip(Codec::Bf16, &[1.0, 1.0 + ulp / 2.0, 1.0 + ulp * 1.5, 1.0 + ulp * 0.51]), [1.0, 1.0, 1.0 + 2.0 * ulp, 1.0 + ulp]);
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
