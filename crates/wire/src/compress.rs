//! Around a file on the network: zstd, with a bound on what comes out and on the memory that it takes.

use std::io::Read as _;

use zstd::stream::read::Decoder;

use crate::error::{DecodeError, short};

/// The largest window, 8 MiB, as RFC 9659 <https://www.rfc-editor.org/rfc/rfc9659> has it for `Content-Encoding: zstd`.
const WINDOW_LOG: u32 = 23;

/// The highest level whose window is no larger.
const MAX_LEVEL: i32 = 19;

/// The level at which models and updates travel: numbers hardly get smaller at a higher one.
pub const LEVEL: i32 = 3;

/// `bytes` as one zstd frame. `level` 1 is fast and 19 small; a higher one counts as 19, 0 is zstd's default.
pub fn compress(bytes: &[u8], level: i32) -> Vec<u8> {
    zstd::bulk::compress(bytes, level.min(MAX_LEVEL))
        .expect("compressing from memory to memory fails only without memory")
}

/// What is in the one zstd frame that `bytes` is, at most `limit` bytes. It is unpacked as it comes and no further than
/// the limit, whatever size the frame declares.
pub fn decompress(bytes: &[u8], limit: usize) -> Result<Vec<u8>, DecodeError> {
    let zstd = |error: std::io::Error| DecodeError::Zstd(short(error));
    let mut frame = Decoder::with_buffer(bytes).map_err(zstd)?.single_frame();
    frame.window_log_max(WINDOW_LOG).map_err(zstd)?;
    let mut out = Vec::new();
    frame.by_ref().take((limit as u64).saturating_add(1)).read_to_end(&mut out).map_err(zstd)?;
    if out.len() > limit {
        return Err(DecodeError::ZstdTooLarge { limit });
    }
    match frame.finish() {
        [] => Ok(out),
        rest => Err(DecodeError::Zstd(format!("{} bytes follow the frame", rest.len()))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text() -> Vec<u8> {
        (0..5000u32).flat_map(|i| (i * i % 1000).to_le_bytes()).collect()
    }

    fn refused(bytes: &[u8], limit: usize) -> String {
        match decompress(bytes, limit) {
            Err(DecodeError::Zstd(cause)) => cause,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn bytes_come_back_at_every_level_within_the_exact_limit() {
        let text = text();
        for level in [i32::MIN, -5, 0, 1, 3, 19, 22, i32::MAX] {
            let frame = compress(&text, level);
            assert!(level < 0 || frame.len() < text.len());
            assert_eq!(decompress(&frame, text.len()), Ok(text.clone()));
            let limit = text.len() - 1;
            assert_eq!(decompress(&frame, limit), Err(DecodeError::ZstdTooLarge { limit }));
        }
        assert_eq!(decompress(&compress(&[], 3), 0), Ok(vec![]));
    }

    #[test]
    fn a_cut_frame_is_refused_wherever_it_is_cut() {
        let frame = compress(&text()[..400], 3);
        for end in 0..frame.len() {
            refused(&frame[..end], 400);
        }
    }

    #[test]
    fn what_follows_the_frame_is_refused() {
        let frame = compress(b"abc", 3);
        assert_eq!(refused(&[&frame[..], b"xy"].concat(), 100), "2 bytes follow the frame");
        assert_eq!(refused(&[&frame[..], &frame].concat(), 100), format!("{} bytes follow the frame", frame.len()));
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        assert_eq!(refused(b"certainly not a frame", 100), "Unknown frame descriptor");
        refused(b"", 100);
    }

    #[test]
    fn a_larger_window_is_refused() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(WINDOW_LOG + 1).unwrap();
        std::io::copy(&mut std::io::repeat(0).take(20 << 20), &mut encoder).unwrap();
        assert_eq!(refused(&encoder.finish().unwrap(), 32 << 20), "Frame requires too much memory for decoding");
    }

    #[test]
    fn our_own_large_frames_are_read() {
        let large = vec![1; 20 << 20];
        assert!(decompress(&compress(&large, 22), large.len()).unwrap() == large);
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(bytes in prop::collection::vec(any::<u8>(), 0..3000), level in -3..5) {
            prop_assert_eq!(decompress(&compress(&bytes, level), bytes.len()), Ok(bytes));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let magic = [&[0x28, 0xb5, 0x2f, 0xfd], &bytes[..]].concat();
            for bytes in [bytes, magic] {
                if let Ok(out) = decompress(&bytes, 1000) {
                    prop_assert!(out.len() <= 1000);
                }
            }
        }

        #[test]
        fn flipped_bytes_never_pass_the_limit(index in any::<prop::sample::Index>(), flip in 1u8..) {
            let mut frame = compress(&text(), 3);
            *index.get_mut(&mut frame) ^= flip;
            if let Ok(out) = decompress(&frame, text().len()) {
                prop_assert!(out.len() <= text().len());
            }
        }
    }
}
