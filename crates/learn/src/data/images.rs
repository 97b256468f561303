//! Images with labels, all of one shape, as bytes; and what can be wrong with the files that hold them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How large an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageShape {
    /// Rows.
    pub height: usize,
    /// Pixels of a row.
    pub width: usize,
    /// Bytes of a pixel: 1 for grey, 3 for red, green and blue.
    pub channels: usize,
}

/// Images of one shape, each with the number of its class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// The shape of each.
    pub shape: ImageShape,
    /// Image after image, each row after row; the channels of a pixel are side by side.
    pub pixels: Vec<u8>,
    /// The class of each image, counted from 0.
    pub labels: Vec<u16>,
}

/// The most bytes of pixels of one data set.
pub const MAX_BYTES: u64 = 4 << 30;

/// The largest height and width.
pub const MAX_SIDE: usize = 4096;

/// What is wrong with images. Nothing of their files is used.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Something of a whole file.
    #[error("{}: {why}", .file.display())]
    In {
        /// The file.
        file: PathBuf,
        /// What.
        why: Box<ImageError>,
    },
    /// A file or folder cannot be read.
    #[error("{file}: cannot be read: {why}", file = .file.display())]
    Unreadable {
        /// The file or folder.
        file: PathBuf,
        /// What the system or the unpacker says.
        why: std::io::Error,
    },
    /// A file is of another kind.
    #[error(
        "{file}: byte 0: begins with the number {found}, and a file of {what} begins with {want}; look which file is which",
        file = .file.display()
    )]
    Magic {
        /// The file.
        file: PathBuf,
        /// How it begins.
        found: u32,
        /// How it should.
        want: u32,
        /// What it should hold.
        what: &'static str,
    },
    /// A file ends within what it should hold.
    #[error("{file}: ends at byte {at}, within {what}, which goes on to byte {want}; fetch the file again", file = .file.display())]
    Short {
        /// The file.
        file: PathBuf,
        /// Its length when unpacked.
        at: u64,
        /// Within what it ends.
        what: String,
        /// Where that would end.
        want: u64,
    },
    /// A file goes on after what it should hold.
    #[error("{file}: goes on after byte {want}, where the {items} {what} that it declares end; fetch the file again", file = .file.display())]
    Long {
        /// The file.
        file: PathBuf,
        /// Where it should end.
        want: u64,
        /// How many it declares.
        items: u64,
        /// What.
        what: &'static str,
    },
    /// More than is read.
    #[error("{file}: has {found} bytes of pixels or more, and at most {limit} are read; divide it", file = .file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// How many it has, as far as that is known.
        found: u64,
        /// How many are read.
        limit: u64,
    },
    /// Nothing in it.
    #[error("{file}: has no {what}; it needs at least one", file = .file.display())]
    Empty {
        /// The file or folder.
        file: PathBuf,
        /// What it should have.
        what: &'static str,
    },
    /// Images and labels that do not belong together.
    #[error(
        "{images_file}: has {images} images, and {labels_file} has {labels} labels; name two files of one set",
        images_file = .images_file.display(), labels_file = .labels_file.display()
    )]
    Counts {
        /// The file of images.
        images_file: PathBuf,
        /// How many.
        images: u64,
        /// The file of labels.
        labels_file: PathBuf,
        /// How many.
        labels: u64,
    },
    /// A label that no class has.
    #[error(
        "{file}: byte {at}: item {item} has the label {found}, and {classes} classes have 0 to {last}; look whether file and classes belong together",
        file = .file.display(), last = .classes.saturating_sub(1)
    )]
    Label {
        /// The file.
        file: PathBuf,
        /// Where in it, unpacked.
        at: u64,
        /// The number of the item, counted from 1.
        item: u64,
        /// Its label.
        found: u8,
        /// How many classes there are.
        classes: usize,
    },
    /// A shape that images cannot have.
    #[error(
        "images of {height} x {width} with {channels} channels are not read: sides are 1 to {MAX_SIDE}, channels {allowed}"
    )]
    Shape {
        /// Rows.
        height: u64,
        /// Pixels of a row.
        width: u64,
        /// Bytes of a pixel.
        channels: u64,
        /// How many channels there can be.
        allowed: &'static str,
    },
    /// Pixels and labels of different numbers of images.
    #[error("{pixels} bytes of pixels are not {labels} images of {want} bytes each")]
    Parts {
        /// Bytes of pixels.
        pixels: usize,
        /// Labels.
        labels: usize,
        /// Bytes of an image.
        want: usize,
    },
    /// A class without its folder.
    #[error("{root}: has no folder {class:?}, and every class needs its own; the folders here are {found}", root = .root.display())]
    MissingClass {
        /// The folder of folders.
        root: PathBuf,
        /// The class.
        class: String,
        /// Those that are there.
        found: String,
    },
    /// A folder that is no class.
    #[error(
        "{root}: the folder {folder:?} is none of the classes {classes}; add it to the classes or move it away",
        root = .root.display()
    )]
    UnknownClass {
        /// The folder of folders.
        root: PathBuf,
        /// The folder's name.
        folder: String,
        /// The classes.
        classes: String,
    },
    /// Classes that cannot be told apart, or too many of them.
    #[error("the list of classes {why}")]
    Classes {
        /// What is wrong.
        why: String,
    },
    /// An image that cannot be decoded.
    #[error("{file}: is not a PNG or JPEG image that can be read: {why}; replace or remove it", file = .file.display())]
    Undecodable {
        /// The file.
        file: PathBuf,
        /// What the decoder says.
        why: String,
    },
}

impl ImageShape {
    /// Bytes of an image. An error for a side of 0 or beyond [`MAX_SIDE`], and for other than 1 to 4 channels.
    pub fn bytes(self) -> Result<usize, ImageError> {
        let side = |side: usize| (1..=MAX_SIDE).contains(&side);
        if side(self.height) && side(self.width) && (1..=4).contains(&self.channels) {
            Ok(self.height * self.width * self.channels)
        } else {
            Err(self.refused("1 to 4"))
        }
    }

    /// The error of this shape where `allowed` says how many channels there can be.
    pub(super) fn refused(self, allowed: &'static str) -> ImageError {
        let [height, width, channels] = [self.height, self.width, self.channels].map(|side| side as u64);
        ImageError::Shape { height, width, channels, allowed }
    }
}

impl Images {
    /// Images of `shape` from their pixels and their labels, of which there are as many.
    pub fn new(shape: ImageShape, pixels: Vec<u8>, labels: Vec<u16>) -> Result<Self, ImageError> {
        let want = shape.bytes()?;
        match labels.len().checked_mul(want) {
            Some(bytes) if bytes == pixels.len() => Ok(Self { shape, pixels, labels }),
            _ => Err(ImageError::Parts { pixels: pixels.len(), labels: labels.len(), want }),
        }
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The pixels of image `i`, which is less than [`Images::len`].
    pub fn image(&self, i: usize) -> &[u8] {
        let bytes = self.pixels.len() / self.labels.len().max(1);
        &self.pixels[i * bytes..(i + 1) * bytes]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: ImageShape = ImageShape { height: 2, width: 1, channels: 3 };

    #[test]
    fn images_lie_one_after_another() {
        let images = Images::new(SHAPE, (0..12).collect(), vec![1, 0]).unwrap();
        assert_eq!((images.len(), images.is_empty()), (2, false));
        assert_eq!((images.image(0), images.image(1)), (&[0, 1, 2, 3, 4, 5][..], &[6, 7, 8, 9, 10, 11][..]));
        assert!(Images::new(SHAPE, vec![], vec![]).unwrap().is_empty());
    }

    #[test]
    fn pixels_that_are_not_of_the_labels_images_are_refused() {
        let error = Images::new(SHAPE, vec![0; 11], vec![1, 0]).unwrap_err();
        assert_eq!(error.to_string(), "11 bytes of pixels are not 2 images of 6 bytes each");
    }

    #[test]
    fn a_shape_that_no_image_has_is_refused() {
        for (height, width, channels) in [(0, 1, 1), (1, MAX_SIDE + 1, 1), (1, 1, 0), (1, 1, 5), (usize::MAX, 2, 3)] {
            let error = ImageShape { height, width, channels }.bytes().unwrap_err().to_string();
            assert!(error.ends_with("are not read: sides are 1 to 4096, channels 1 to 4"), "{error}");
        }
    }

    #[test]
    fn a_shape_with_a_word_too_many_is_refused() {
        let shape: ImageShape = serde_json::from_str(r#"{"height":2,"width":1,"channels":3}"#).unwrap();
        assert_eq!(shape, SHAPE);
        assert!(serde_json::from_str::<ImageShape>(r#"{"height":2,"width":1,"channels":3,"depth":1}"#).is_err());
    }
}
