//! IDX files, in which MNIST and Fashion-MNIST come: a big-endian header and bytes, packed with gzip or not.
//!
//! LeCun, Cortes and Burges, "The MNIST database of handwritten digits" <https://yann.lecun.com/exdb/mnist/>.

use std::path::Path;

use super::{
    gzip::Content,
    images::{ImageError, ImageShape, Images, MAX_BYTES},
};

/// How a file of images begins: unsigned bytes in three dimensions.
const IMAGES: u32 = 2051;

/// How a file of labels begins: unsigned bytes in one dimension.
const LABELS: u32 = 2049;

/// Reads the grey images in the file `images` with the labels in the file `labels`, which are less than `classes`.
pub fn read(images: &Path, labels: &Path, classes: usize) -> Result<Images, ImageError> {
    let mut file = Idx::open(images)?;
    let [count, height, width] = file.header(IMAGES, "images")?;
    let shape = shape(height, width)?;
    let of_file = |why| ImageError::In { file: images.into(), why: Box::new(why) };
    let size = shape.bytes().map_err(of_file)? as u64;
    let mut labels_file = Idx::open(labels)?;
    let [labelled] = labels_file.header(LABELS, "labels")?;
    if count != labelled {
        let (images_file, labels_file) = (images.into(), labels.into());
        return Err(ImageError::Counts { images_file, images: count.into(), labels_file, labels: labelled.into() });
    }
    let labels = labels_file.labels(count.into(), classes)?;
    let pixels = file.body(count.into(), size, "images")?;
    Images::new(shape, pixels, labels)
}

fn shape(height: u32, width: u32) -> Result<ImageShape, ImageError> {
    let refused = || ImageError::Shape { height: height.into(), width: width.into(), channels: 1, allowed: "1" };
    match (usize::try_from(height), usize::try_from(width)) {
        (Ok(height), Ok(width)) => Ok(ImageShape { height, width, channels: 1 }),
        _ => Err(refused()),
    }
}

/// A file that is being read.
struct Idx<'a> {
    file: &'a Path,
    content: Content,
}

impl<'a> Idx<'a> {
    fn open(file: &'a Path) -> Result<Self, ImageError> {
        match Content::open(file) {
            Ok(content) => Ok(Self { file, content }),
            Err(why) => Err(ImageError::Unreadable { file: file.into(), why }),
        }
    }

    fn up_to(&mut self, most: u64) -> Result<Vec<u8>, ImageError> {
        self.content.up_to(most).map_err(|why| ImageError::Unreadable { file: self.file.into(), why })
    }

    /// The sizes of the file's dimensions, which follow the number that says what it holds.
    fn header<const N: usize>(&mut self, want: u32, what: &'static str) -> Result<[u32; N], ImageError> {
        let bytes = self.up_to(4 + 4 * N as u64)?;
        let mut numbers = bytes.chunks_exact(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]));
        match numbers.next() {
            Some(found) if found != want => Err(ImageError::Magic { file: self.file.into(), found, want, what }),
            // The rest of a header that ends early is not looked at.
            _ if bytes.len() < 4 + 4 * N => Err(self.short("the header".into(), 4 + 4 * N as u64)),
            _ => Ok(std::array::from_fn(|_| numbers.next().unwrap_or(0))),
        }
    }

    /// The `count` items of `size` bytes that follow the header, and nothing after them.
    fn body(&mut self, count: u64, size: u64, what: &'static str) -> Result<Vec<u8>, ImageError> {
        let (begin, declared) = (self.content.at(), count.saturating_mul(size));
        if declared > MAX_BYTES {
            return Err(ImageError::TooLarge { file: self.file.into(), found: declared, limit: MAX_BYTES });
        }
        if count == 0 {
            return Err(ImageError::Empty { file: self.file.into(), what });
        }
        let mut bytes = self.up_to(declared)?;
        if (bytes.len() as u64) < declared {
            let item = bytes.len() as u64 / size + 1;
            return Err(self.short(format!("item {item} of {count} {what}"), begin + item * size));
        }
        if !self.up_to(1)?.is_empty() {
            return Err(ImageError::Long { file: self.file.into(), want: begin + declared, items: count, what });
        }
        bytes.shrink_to_fit();
        Ok(bytes)
    }

    fn labels(&mut self, count: u64, classes: usize) -> Result<Vec<u16>, ImageError> {
        let begin = self.content.at();
        let bytes = self.body(count, 1, "labels")?;
        match bytes.iter().position(|label| usize::from(*label) >= classes) {
            Some(i) => {
                let (at, item) = (begin + i as u64, i as u64 + 1);
                Err(ImageError::Label { file: self.file.into(), at, item, found: bytes[i], classes })
            }
            None => Ok(bytes.into_iter().map(u16::from).collect()),
        }
    }

    fn short(&self, what: String, want: u64) -> ImageError {
        ImageError::Short { file: self.file.into(), at: self.content.at(), what, want }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::gzip::pack, *};

    fn idx(numbers: &[u32], body: &[u8]) -> Vec<u8> {
        [&numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<u8>>()[..], body].concat()
    }

    /// Three images of 1 x 2.
    fn images() -> Vec<u8> {
        idx(&[2051, 3, 1, 2], &[1, 2, 3, 4, 5, 6])
    }

    fn labels() -> Vec<u8> {
        idx(&[2049, 3], &[0, 2, 1])
    }

    /// Reads, and names files without their folder.
    fn check(images: &[u8], labels: &[u8]) -> Result<Images, String> {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["images", "labels"].map(|name| folder.path().join(name));
        std::fs::write(&a, images).unwrap();
        std::fs::write(&b, labels).unwrap();
        read(&a, &b, 3).map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
    }

    #[test]
    fn images_and_labels_are_read_packed_or_not() {
        for (images, labels) in [(images(), labels()), (pack(&images()), labels()), (images(), pack(&labels()))] {
            let read = check(&images, &labels).unwrap();
            assert_eq!((read.shape.height, read.shape.width, read.shape.channels), (1, 2, 1));
            assert_eq!((read.image(2), &read.labels[..]), (&[5, 6][..], &[0, 2, 1][..]));
        }
    }

    #[test]
    fn files_that_are_not_a_set_say_what_they_are_instead() {
        let refused = |images: &[u8], labels: &[u8], want: &str| {
            assert_eq!(check(images, labels).unwrap_err(), want);
        };
        refused(
            &labels(),
            &images(),
            "images: byte 0: begins with the number 2049, and a file of images begins with 2051; look which file is which",
        );
        refused(
            &images(),
            &images(),
            "labels: byte 0: begins with the number 2051, and a file of labels begins with 2049; look which file is which",
        );
        refused(
            &images(),
            &idx(&[2049, 2], &[0, 1]),
            "images: has 3 images, and labels has 2 labels; name two files of one set",
        );
        refused(
            &images(),
            &idx(&[2049, 3], &[0, 3, 1]),
            "labels: byte 9: item 2 has the label 3, and 3 classes have 0 to 2; look whether file and classes belong together",
        );
        refused(&idx(&[2051, 0, 1, 2], &[]), &idx(&[2049, 0], &[]), "labels: has no labels; it needs at least one");
    }

    #[test]
    fn a_body_of_another_length_says_where_it_ends() {
        let (images, labels) = (images(), labels());
        let refused = |images: &[u8], want: &str| {
            for images in [images.to_vec(), pack(images)] {
                assert_eq!(check(&images, &labels).unwrap_err(), want);
            }
        };
        refused(
            &images[..19],
            "images: ends at byte 19, within item 2 of 3 images, which goes on to byte 20; fetch the file again",
        );
        refused(
            &images[..9],
            "images: ends at byte 9, within the header, which goes on to byte 16; fetch the file again",
        );
        refused(&[], "images: ends at byte 0, within the header, which goes on to byte 16; fetch the file again");
        let more = [&images[..], &[0]].concat();
        refused(&more, "images: goes on after byte 22, where the 3 images that it declares end; fetch the file again");
        let packed = pack(&images);
        let error = check(&packed[..packed.len() - 5], &labels).unwrap_err();
        assert!(error.starts_with("images: cannot be read: the gzip data end early, "), "{error}");
    }

    #[test]
    fn a_declared_size_is_checked_before_anything_is_allocated() {
        let many = u32::MAX;
        let error = check(&idx(&[2051, 3, many, many], &[]), &labels()).unwrap_err();
        assert_eq!(
            error,
            "images: images of 4294967295 x 4294967295 with 1 channels are not read: sides are 1 to 4096, channels 1 to 4"
        );
        let error = check(&idx(&[2051, many, 1, 2], &[0; 9]), &idx(&[2049, many], &[0; 9])).unwrap_err();
        assert_eq!(
            error,
            "labels: ends at byte 17, within item 10 of 4294967295 labels, which goes on to byte 18; fetch the file again"
        );
        let error = check(&idx(&[2051, 3, 4096, 4096], &[0; 9]), &labels()).unwrap_err();
        assert!(error.starts_with("images: ends at byte 25, within item 1 of 3 images"), "{error}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read(Path::new("/nowhere/a"), Path::new("/nowhere/b"), 3).unwrap_err().to_string();
        assert!(error.starts_with("/nowhere/a: cannot be read: No such file"), "{error}");
    }

    proptest! {
        #[test]
        fn a_file_with_other_bytes_is_images_or_an_error(
            kind in 0..4, of_labels: bool, at in 0usize..60, byte: u8, bytes: Vec<u8>,
        ) {
            let good = if of_labels { labels() } else { images() };
            let mut file = match kind {
                0 => good.clone(),
                1 => pack(&good),
                2 => [&good[..8], &bytes].concat(),
                _ => bytes,
            };
            if let Some(changed) = file.get_mut(at) {
                *changed = byte;
            }
            let read = if of_labels { check(&images(), &file) } else { check(&file, &labels()) };
            if let Ok(read) = read {
                prop_assert_eq!(read.len() * read.shape.bytes().unwrap(), read.pixels.len());
            }
        }
    }
}
