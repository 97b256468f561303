//! Folders of PNG and JPEG images, one folder a class: decoded, made grey or RGB, and brought to one size.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    io::Cursor,
    path::{Path, PathBuf},
};

use dure_core::{
    digest::Digest,
    excerpt::{NAME, SENTENCE, excerpt},
};
use image::{DynamicImage, ImageDecoder, ImageReader, Limits, imageops::FilterType};

use super::{
    images::{ImageError, ImageShape, Images, MAX_BYTES},
    table::read_bounded,
};

/// Images of a folder, class after class, by name within a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// The images.
    pub images: Images,
    /// Where each was: its class and a slash, if that is known, and the name of its file.
    pub files: Vec<String>,
    /// The digest of each file's bytes. A copy under another name is found by it; the same picture saved anew is not.
    pub digests: Vec<Digest>,
    /// Files in the folders of classes that were left, for their names are not those of PNG or JPEG images.
    pub others: usize,
}

impl Folder {
    /// Puts the images of another folder, of the same shape, behind its own.
    pub fn append(&mut self, other: Self) {
        self.images.pixels.extend(other.images.pixels);
        self.images.labels.extend(other.images.labels);
        self.files.extend(other.files);
        self.digests.extend(other.digests);
        self.others += other.others;
    }
}

/// The largest file of an image.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// The most pixels of an image before it is resized.
const MAX_PIXELS: u64 = 100_000_000;

/// The most bytes that a decoder may allocate.
const MAX_DECODER_BYTES: u64 = 1 << 30;

/// Which files are images, by the ends of their names in lower case.
const ENDS: [&str; 3] = ["png", "jpg", "jpeg"];

/// A triangle: additions and multiplications only, so the same bits on every machine, where Lanczos would need a sine.
/// It widens with the reduction, so no pixel of the original goes unseen.
const FILTER: FilterType = FilterType::Triangle;

/// Reads `<root>/<class>/*.{png,jpg,jpeg}` as images of `shape`, whose channels are 1 or 3. The label of an image is its
/// class's place in `classes`. A folder of `root` that is no class is an error, unless its name begins with a dot.
///
/// Sides are scaled each for itself; a colour becomes grey by the weights of Rec. 709; opacity and what a camera says of
/// its orientation are not looked at.
pub fn read(root: &Path, classes: &[String], shape: ImageShape) -> Result<Folder, ImageError> {
    let mut folder = Folder::empty(shape)?;
    check_folders(root, classes)?;
    for (label, class) in classes.iter().enumerate() {
        let label = u16::try_from(label).map_err(|_| ImageError::Classes { why: "is too long".into() })?;
        let (files, others) = list(&root.join(class))?;
        folder.others += others;
        for file in files {
            folder.add(format!("{class}/{}", name(&file)), label, &file)?;
        }
    }
    Ok(folder)
}

/// Reads images whose classes are not known: those in a folder, by name, or one file. All have the label 0.
pub fn unlabelled(path: &Path, shape: ImageShape) -> Result<Folder, ImageError> {
    let mut folder = Folder::empty(shape)?;
    let (files, others) = if path.is_dir() { list(path)? } else { (vec![path.to_owned()], 0) };
    folder.others = others;
    for file in files {
        folder.add(name(&file), 0, &file)?;
    }
    Ok(folder)
}

/// Holds the folders of `root` to `classes`: every class has one, and every one is a class. So no class leads elsewhere.
fn check_folders(root: &Path, classes: &[String]) -> Result<(), ImageError> {
    if classes.is_empty() {
        return Err(ImageError::Classes {
            why: "is empty; name the folders of the classes, in the order of labels".into(),
        });
    }
    let mut named = BTreeSet::new();
    if let Some(class) = classes.iter().find(|class| !named.insert(class.as_str())) {
        return Err(ImageError::Classes { why: format!("has {:?} twice; remove one", excerpt(class, NAME)) });
    }
    let folders: BTreeSet<String> =
        entries(root)?.into_iter().filter(|path| path.is_dir()).map(|path| name(&path)).collect();
    let listed = |names: &mut dyn Iterator<Item = &str>| excerpt(format!("{:?}", names.collect::<Vec<_>>()), SENTENCE);
    if let Some(class) = classes.iter().find(|class| !folders.contains(*class)) {
        let (class, found) = (excerpt(class, NAME), listed(&mut folders.iter().map(String::as_str)));
        return Err(ImageError::MissingClass { root: root.into(), class, found });
    }
    match folders.iter().find(|folder| !folder.starts_with('.') && !named.contains(folder.as_str())) {
        Some(folder) => {
            let classes = listed(&mut classes.iter().map(String::as_str));
            Err(ImageError::UnknownClass { root: root.into(), folder: excerpt(folder, NAME), classes })
        }
        None => Ok(()),
    }
}

/// The images in the folder of a class, by name, and how many other files there are.
fn list(folder: &Path) -> Result<(Vec<PathBuf>, usize), ImageError> {
    let files = entries(folder)?.into_iter().filter(|path| path.is_file());
    let (images, others): (Vec<_>, Vec<_>) = files.partition(|file| is_image(file));
    let empty = ImageError::Empty { file: folder.into(), what: "PNG or JPEG images" };
    if images.is_empty() { Err(empty) } else { Ok((images, others.len())) }
}

/// What is in a folder, by name.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, ImageError> {
    let read = || std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>();
    let mut paths = read().map_err(|why| ImageError::Unreadable { file: folder.into(), why })?;
    paths.sort();
    Ok(paths)
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn is_image(file: &Path) -> bool {
    let end = file.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
    end.is_some_and(|end| ENDS.contains(&end.as_str()))
}

/// The pixels of an image that is `bytes`, brought to `shape`; or what the decoder says.
fn decode(bytes: &[u8], shape: ImageShape) -> Result<Vec<u8>, image::ImageError> {
    // By what they contain: a PNG image called .jpg is one all the same.
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    reader.limits(limits);
    let decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        let why = format!("it has {width} x {height} pixels, and at most {MAX_PIXELS} are read");
        return Err(image::ImageError::IoError(std::io::Error::other(why)));
    }
    let decoded = DynamicImage::from_decoder(decoder)?;
    let (width, height) = (shape.width as u32, shape.height as u32);
    Ok(if shape.channels == 1 {
        image::imageops::resize(&decoded.into_luma8(), width, height, FILTER).into_raw()
    } else {
        image::imageops::resize(&decoded.into_rgb8(), width, height, FILTER).into_raw()
    })
}

impl Folder {
    fn empty(shape: ImageShape) -> Result<Self, ImageError> {
        if ![1, 3].contains(&shape.channels) {
            return Err(shape.refused("1 or 3"));
        }
        Ok(Self { images: Images::new(shape, vec![], vec![])?, files: vec![], digests: vec![], others: 0 })
    }

    fn add(&mut self, called: String, label: u16, file: &Path) -> Result<(), ImageError> {
        let found = (self.images.pixels.len() + self.images.shape.bytes()?) as u64;
        if found > MAX_BYTES {
            return Err(ImageError::TooLarge { file: file.into(), found, limit: MAX_BYTES });
        }
        let bytes =
            read_bounded(file, MAX_FILE_BYTES).map_err(|why| ImageError::Unreadable { file: file.into(), why })?;
        let undecodable = |why| ImageError::Undecodable { file: file.into(), why: excerpt(why, SENTENCE) };
        self.images.pixels.extend(decode(&bytes, self.images.shape).map_err(undecodable)?);
        self.images.labels.push(label);
        self.files.push(called);
        self.digests.push(Digest::of(&bytes));
        Ok(())
    }

    /// Keeps the images of which `keep` is true, and says how many went.
    fn retain(self, mut keep: impl FnMut(&Digest) -> bool) -> (Self, usize) {
        let kept: Vec<usize> = (0..self.files.len()).filter(|i| keep(&self.digests[*i])).collect();
        let images = Images {
            shape: self.images.shape,
            pixels: kept.iter().flat_map(|i| self.images.image(*i)).copied().collect(),
            labels: kept.iter().map(|i| self.images.labels[*i]).collect(),
        };
        let files = kept.iter().map(|i| self.files[*i].clone()).collect();
        let digests = kept.iter().map(|i| self.digests[*i]).collect();
        (Self { images, files, digests, others: self.others }, self.files.len() - kept.len())
    }
}

/// Drops from `test` what `train` has too, by the digests of files, and says how many those were.
pub fn drop_copies(train: &Folder, test: Folder) -> (Folder, usize) {
    let trained: BTreeSet<&Digest> = train.digests.iter().collect();
    test.retain(|digest| !trained.contains(digest))
}

/// Keeps the first of every file that is there more than once, whatever its class, and says how many went.
pub fn drop_repeats(folder: Folder) -> (Folder, usize) {
    let mut seen = BTreeSet::new();
    folder.retain(|digest| seen.insert(*digest))
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, ImageFormat, RgbImage};

    use super::*;

    const GREY: ImageShape = ImageShape { height: 2, width: 3, channels: 1 };

    fn encode(image: DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(vec![]);
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    /// A grey image of 3 x 2 that counts up from `first`.
    fn png(first: u8) -> Vec<u8> {
        encode(GrayImage::from_fn(3, 2, |x, y| [first + (y * 3 + x) as u8].into()).into(), ImageFormat::Png)
    }

    /// A folder with these files.
    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let file = folder.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, bytes).unwrap();
        }
        folder
    }

    fn classes() -> Vec<String> {
        ["cat", "dog"].map(String::from).to_vec()
    }

    /// Reads, and names files without their folder.
    fn check(files: &[(&str, &[u8])], shape: ImageShape) -> Result<Folder, String> {
        let root = folder(files);
        let path = root.path().display().to_string();
        read(root.path(), &classes(), shape).map_err(|error| error.to_string().replace(&path, "images"))
    }

    #[test]
    fn images_stand_class_after_class_by_name() {
        let files = [
            ("dog/b.png", &png(20)[..]),
            ("dog/a.PNG", &png(10)),
            ("cat/é.png", &png(30)),
            ("cat/notes.txt", b"2"),
            ("index.csv", b"1"),
            (".cache/x.png", b"0"),
        ];
        let read = check(&files, GREY).unwrap();
        assert_eq!(read.files, ["cat/é.png", "dog/a.PNG", "dog/b.png"]);
        assert_eq!((&read.images.labels[..], read.others), (&[0, 1, 1][..], 1));
        assert_eq!(read.images.image(1), [10, 11, 12, 13, 14, 15], "an image of the wanted size is not touched");
        assert_eq!(read.digests[2], Digest::of(&png(20)));
        assert_eq!(check(&files, GREY).unwrap(), read);
    }

    #[test]
    fn images_are_brought_to_the_wanted_colours_and_size() {
        let red = DynamicImage::from(RgbImage::from_pixel(64, 48, [200, 0, 0].into()));
        let (a, b) = (encode(red.clone(), ImageFormat::Png), encode(red, ImageFormat::Jpeg));
        let files = [("cat/red.png", &a[..]), ("dog/red.JPeG", &b), ("dog/wrong-end.jpg", &a)];
        let read = check(&files, ImageShape { channels: 3, ..GREY }).unwrap();
        assert_eq!(read.images.image(0), [200, 0, 0].repeat(6));
        assert!(read.images.image(1).chunks(3).all(|rgb| rgb[0].abs_diff(200) < 4 && rgb[1] < 4 && rgb[2] < 4));
        assert_eq!(read.images.image(0), read.images.image(2));
        let grey = check(&files, GREY).unwrap();
        assert_eq!(grey.images.image(0), [43; 6], "0.2126 of 200");
    }

    #[test]
    fn an_image_is_reduced_by_the_mean_of_what_it_covers() {
        let stripes = GrayImage::from_fn(300, 200, |x, _| [if x % 2 == 0 { 0 } else { 200 }].into());
        let files = [("cat/a.png", &encode(stripes.into(), ImageFormat::Png)[..]), ("dog/a.png", &png(0))];
        let read = check(&files, GREY).unwrap();
        assert!(read.images.image(0).iter().all(|grey| grey.abs_diff(100) <= 2), "{:?}", read.images.image(0));
    }

    #[test]
    fn a_folder_that_is_no_class_and_a_class_that_has_none_are_named() {
        let cat = ("cat/a.png", &png(0)[..]);
        let refused = |files: &[(&str, &[u8])], want: &str| assert_eq!(check(files, GREY).unwrap_err(), want);
        refused(
            &[cat, ("Dog/a.png", &png(0))],
            r#"images: has no folder "dog", and every class needs its own; the folders here are ["Dog", "cat"]"#,
        );
        refused(
            &[cat, ("dog/a.png", &png(0)), ("cow/a.png", &png(0))],
            r#"images: the folder "cow" is none of the classes ["cat", "dog"]; add it to the classes or move it away"#,
        );
        refused(&[cat, ("dog/a.gif", b"")], "images/dog: has no PNG or JPEG images; it needs at least one");
        let root = folder(&[cat]);
        let names = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            read(root.path(), &names, GREY).unwrap_err().to_string()
        };
        assert_eq!(names(&["cat", "cat"]), "the list of classes has \"cat\" twice; remove one");
        assert!(names(&[]).starts_with("the list of classes is empty"));
        assert!(names(&["../cat"]).contains("has no folder \"../cat\""), "a class leads nowhere else");
        let error = read(Path::new("/nowhere"), &classes(), GREY).unwrap_err().to_string();
        assert!(error.starts_with("/nowhere: cannot be read: No such file"), "{error}");
    }

    #[test]
    fn an_image_that_cannot_be_decoded_is_named_with_the_decoders_words() {
        let refused = |bytes: &[u8], words: &str| {
            let error = check(&[("cat/a.png", &png(0)), ("dog/bad.png", bytes)], GREY).unwrap_err();
            let start = "images/dog/bad.png: is not a PNG or JPEG image that can be read: ";
            assert!(error.starts_with(start) && error.contains(words), "{error}");
            assert!(error.ends_with("; replace or remove it"), "{error}");
        };
        let good = png(0);
        refused(b"", "format could not be determined");
        refused(b"GIF89a", "format");
        refused(&good[..good.len() / 2], "");
        refused(&good[..20], "");
        let mut huge = good.clone();
        huge[16..24].copy_from_slice(&[0, 0, 0x40, 0, 0, 0, 0x40, 0]);
        refused(&huge, "");
        let photo = encode(GrayImage::from_pixel(64, 64, [9].into()).into(), ImageFormat::Jpeg);
        refused(&photo[..30], "");
    }

    #[test]
    fn an_image_of_too_many_pixels_is_refused_before_they_are_decoded() {
        // 20,000 x 20,000 black pixels in one bit each are a file of 50 KB.
        let error = check(&[("cat/a.png", &png(0)), ("dog/b.png", &png_of_declared_size(20_000))], GREY).unwrap_err();
        assert!(error.contains("it has 20000 x 20000 pixels, and at most 100000000 are read"), "{error}");
    }

    /// A PNG image whose header is right and declares a square of `side`; the pixels are missing.
    fn png_of_declared_size(side: u32) -> Vec<u8> {
        let mut header = b"IHDR".to_vec();
        header.extend([side.to_be_bytes(), side.to_be_bytes()].concat());
        header.extend([1, 0, 0, 0, 0]);
        let mut check = flate2::Crc::new();
        check.update(&header);
        let mut data = flate2::Crc::new();
        data.update(b"IDAT");
        let begin = [&b"\x89PNG\r\n\x1a\n\0\0\0\r"[..], &header, &check.sum().to_be_bytes()].concat();
        [&begin[..], &[0; 4], b"IDAT", &data.sum().to_be_bytes()].concat()
    }

    #[test]
    fn any_damaged_byte_of_an_image_is_an_error_or_an_image() {
        let rgb = RgbImage::from_fn(24, 16, |x, y| [(x * 9) as u8, (y * 9) as u8, 7].into());
        for format in [ImageFormat::Png, ImageFormat::Jpeg] {
            let good = encode(rgb.clone().into(), format);
            for i in 0..good.len() {
                for flip in [0x01, 0x80, 0xff] {
                    let mut bad = good.clone();
                    bad[i] ^= flip;
                    if let Ok(pixels) = decode(&bad, GREY) {
                        assert_eq!(pixels.len(), 6);
                    }
                }
                if let Ok(pixels) = decode(&good[..i], GREY) {
                    assert_eq!(pixels.len(), 6);
                }
            }
        }
    }

    #[test]
    fn channels_are_one_or_three() {
        let error = check(&[], ImageShape { channels: 2, ..GREY }).unwrap_err();
        assert_eq!(error, "images of 2 x 3 with 2 channels are not read: sides are 1 to 4096, channels 1 or 3");
    }

    #[test]
    fn copies_are_dropped_by_their_bytes_whatever_they_are_called() {
        let train = check(&[("cat/a.png", &png(1)), ("cat/b.png", &png(1)), ("dog/c.png", &png(2))], GREY).unwrap();
        let test = check(&[("cat/z.png", &png(3)), ("dog/y.png", &png(1)), ("dog/z.png", &png(2))], GREY).unwrap();
        let (test, dropped) = drop_copies(&train, test);
        assert_eq!(
            (dropped, &test.files[..], test.images.image(0)),
            (2, &["cat/z.png".to_owned()][..], &[3, 4, 5, 6, 7, 8][..])
        );
        let (train, dropped) = drop_repeats(train);
        assert_eq!(
            (dropped, train.files.join(" "), &train.images.labels[..]),
            (1, "cat/a.png dog/c.png".into(), &[0, 1][..])
        );
        assert_eq!(drop_repeats(train.clone()), (train, 0));
    }
}
