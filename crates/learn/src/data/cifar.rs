//! CIFAR-10 in its official binary layout, packed with gzip or not: records of a label and 32 x 32 pixels in three planes.
//!
//! Krizhevsky 2009, "Learning multiple layers of features from tiny images" <https://www.cs.toronto.edu/~kriz/cifar.html>.

use std::path::{Path, PathBuf};

use super::{
    gzip::Content,
    images::{ImageError, ImageShape, Images, MAX_BYTES},
};

/// The shape of every image.
pub const SHAPE: ImageShape = ImageShape { height: 32, width: 32, channels: 3 };

/// The classes, in the order of their labels.
pub const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// Pixels of an image, and bytes of each of its planes.
const PLANE: usize = SHAPE.height * SHAPE.width;

/// Bytes of a record: the label, then the red, the green and the blue plane.
const RECORD: usize = 1 + 3 * PLANE;

/// Reads the records of `files`, one file after another.
pub fn read(files: &[PathBuf]) -> Result<Images, ImageError> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for file in files {
        append(file, &mut pixels, &mut labels)?;
    }
    Images::new(SHAPE, pixels, labels)
}

fn append(file: &Path, pixels: &mut Vec<u8>, labels: &mut Vec<u16>) -> Result<(), ImageError> {
    let unreadable = |why| ImageError::Unreadable { file: file.into(), why };
    let mut content = Content::open(file).map_err(unreadable)?;
    for item in 1u64.. {
        let at = content.at();
        let record = content.up_to(RECORD as u64).map_err(unreadable)?;
        let Some((label, planes)) = record.split_first() else { break };
        if record.len() < RECORD {
            let (what, want) = (format!("record {item}"), at + RECORD as u64);
            return Err(ImageError::Short { file: file.into(), at: content.at(), what, want });
        }
        if usize::from(*label) >= CLASSES.len() {
            return Err(ImageError::Label { file: file.into(), at, item, found: *label, classes: CLASSES.len() });
        }
        let found = (pixels.len() + planes.len()) as u64;
        if found > MAX_BYTES {
            return Err(ImageError::TooLarge { file: file.into(), found, limit: MAX_BYTES });
        }
        pixels.extend((0..PLANE).flat_map(|i| [planes[i], planes[PLANE + i], planes[2 * PLANE + i]]));
        labels.push(u16::from(*label));
    }
    if content.at() == 0 { Err(ImageError::Empty { file: file.into(), what: "records" }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::{super::gzip::pack, *};

    /// A record whose planes count up from 1, 2 and 3.
    fn record(label: u8) -> Vec<u8> {
        let plane = |first: usize| (0..PLANE).map(move |i| (first + i) as u8);
        std::iter::once(label).chain(plane(1)).chain(plane(2)).chain(plane(3)).collect()
    }

    /// Reads, and names files without their folder.
    fn check(files: &[&[u8]]) -> Result<Images, String> {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = (0..files.len()).map(|i| folder.path().join(format!("batch_{i}.bin"))).collect();
        paths.iter().zip(files).for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
        read(&paths).map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
    }

    #[test]
    fn planes_become_pixels_and_files_follow_one_another() {
        let (first, second) = ([record(3), record(9)].concat(), pack(&record(0)));
        let images = check(&[&first, &second]).unwrap();
        assert_eq!((images.shape, &images.labels[..]), (SHAPE, &[3, 9, 0][..]));
        assert_eq!(&images.image(2)[..6], [1, 2, 3, 2, 3, 4]);
        assert_eq!(images.image(0)[32 * 3], 33, "a row has 32 pixels");
    }

    #[test]
    fn a_bad_record_is_named_by_file_byte_and_number() {
        let good = record(3);
        let refused = |second: &[u8], want: &str| {
            for second in [second.to_vec(), pack(second)] {
                assert_eq!(check(&[&good, &second]).unwrap_err(), want);
            }
        };
        refused(
            &[record(1), record(10)].concat(),
            "batch_1.bin: byte 3073: item 2 has the label 10, and 10 classes have 0 to 9; look whether file and classes belong together",
        );
        refused(
            &[&good[..], &good[..100]].concat(),
            "batch_1.bin: ends at byte 3173, within record 2, which goes on to byte 6146; fetch the file again",
        );
        refused(&[], "batch_1.bin: has no records; it needs at least one");
        let packed = pack(&good);
        let error = check(&[&packed[..packed.len() - 9]]).unwrap_err();
        assert!(error.starts_with("batch_0.bin: cannot be read: the gzip data end early, "), "{error}");
    }
}
