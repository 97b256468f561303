//! From files, or from a generator, to everybody's examples.

use std::path::{Path, PathBuf};

use super::{
    DataSet, Format, Generator, Site, Source, cifar,
    divide::Whole,
    examples::{Inputs, Truth},
    folder::{self, drop_copies, drop_repeats},
    glyphs::{self, Glyphs},
    idx,
    images::{ImageError, ImageShape, Images},
    made_up_vitals, people,
    table::{self, DataError, Table, Target},
    vitals,
};
use crate::schema::Schema;

/// What a generator's table is called in messages.
const GENERATED: &str = "generated";

/// Reads the data set of `site` in `folder`.
pub fn load(folder: &Path, schema: &Schema, site: &Site) -> Result<DataSet, DataError> {
    match site.format {
        Format::Csv | Format::Vitals => {
            let file = found(folder, &site.file);
            let table = rows(&file, schema, site, Target::Needed)?;
            table::group(&file, table, schema, site, Source::File(file.clone()))
        }
        Format::Idx | Format::Cifar10 | Format::Folder => of_images(folder, schema, site),
    }
}

/// A file of the data set in `folder`: as it is called, or else packed (`.gz`) or unpacked under the same name.
pub fn found(folder: &Path, name: &str) -> PathBuf {
    let file = folder.join(name);
    let other = match name.strip_suffix(".gz") {
        Some(unpacked) => folder.join(unpacked),
        None => folder.join(format!("{name}.gz")),
    };
    if !file.exists() && other.is_file() { other } else { file }
}

/// Reads the rows of a table; of vital signs, those that are made of them.
pub fn rows(file: &Path, schema: &Schema, site: &Site, target: Target) -> Result<Table, DataError> {
    match site.format {
        Format::Csv => table::read(file, schema, site, target),
        Format::Vitals if vitals::are_meant(schema) => match Table::from(vitals::read(file, &site.columns)?) {
            table if table.rows.is_empty() => {
                Err(DataError::Row { file: file.into(), line: 2, why: table.remarks.join("; ") })
            }
            table => Ok(table),
        },
        format => {
            let why = format!("site.format = {format:?}, which is not of the columns that the schema has");
            Err(DataError::Unreadable { file: file.into(), why: std::io::Error::other(why) })
        }
    }
}

/// Makes a data set up. The text of a table, as a site would have it, comes with it.
pub fn made_up(
    generator: Generator,
    schema: &Schema,
    site: &Site,
    seed: u64,
) -> Result<(Option<String>, DataSet), DataError> {
    let file = Path::new(GENERATED);
    match generator {
        Generator::Activity(people) => {
            let csv = people::generate(people, seed);
            let table = table::parse(file, csv.as_bytes(), schema, site, Target::Needed)?;
            let data = table::group(file, table, schema, site, Source::Generated)?;
            Ok((Some(csv), data))
        }
        Generator::Patients(patients) => {
            let csv = made_up_vitals::generate(patients, seed);
            let hourly = vitals::parse(file, csv.as_bytes(), &Default::default())?;
            let data = table::group(file, hourly.into(), schema, site, Source::Generated)?;
            Ok((Some(csv), data))
        }
        Generator::Glyphs { per_class, test_per_class } => {
            let shape = schema.image.unwrap_or(ImageShape { height: 28, width: 28, channels: 1 });
            let glyphs = Glyphs { shape, classes: schema.target.classes.len() as u16, per_class };
            let train = glyphs::generate(glyphs, 0, seed)?;
            let test = glyphs::generate(Glyphs { per_class: test_per_class, ..glyphs }, u64::from(per_class), seed)?;
            let test = (test_per_class > 0).then_some(test);
            Ok((None, whole_of(Source::Generated, train, test, Left::default()).divide(site)?))
        }
    }
}

fn of_images(folder: &Path, schema: &Schema, site: &Site) -> Result<DataSet, DataError> {
    let Some(shape) = schema.image else {
        let why = std::io::Error::other("the schema has no image, and these are images");
        return Err(DataError::Unreadable { file: folder.into(), why });
    };
    let (train, test, left) = match site.format {
        Format::Folder => folders(folder, schema, site, shape)?,
        _ => {
            let read = |files: &[String]| files_of(folder, schema, site, files);
            let test = if site.test.is_empty() { None } else { Some(read(&site.test)?) };
            (read(&site.train)?, test, Left::default())
        }
    };
    for images in [Some(&train), test.as_ref()].into_iter().flatten() {
        if images.shape != shape {
            let (found, want) = (images.shape, shape);
            let of = |shape: ImageShape| format!("{} × {} × {}", shape.height, shape.width, shape.channels);
            let why = format!("its images are {}, and schema.image says {}", of(found), of(want));
            return Err(DataError::Unreadable { file: folder.into(), why: std::io::Error::other(why) });
        }
    }
    whole_of(Source::File(folder.into()), train, test, left).divide(site)
}

/// What is left out of folders of images.
#[derive(Default)]
struct Left {
    /// Copies of other images.
    copies: usize,
    /// Files that are no images by their names.
    others: usize,
}

fn files_of(folder: &Path, schema: &Schema, site: &Site, files: &[String]) -> Result<Images, ImageError> {
    let paths: Vec<_> = files.iter().map(|file| found(folder, file)).collect();
    match (site.format, &paths[..]) {
        (Format::Idx, [images, labels]) => idx::read(images, labels, schema.target.classes.len()),
        _ => cifar::read(&paths),
    }
}

/// Images of folders. Copies within the training images are dropped, and those of training images among the test images.
fn folders(
    folder: &Path,
    schema: &Schema,
    site: &Site,
    shape: ImageShape,
) -> Result<(Images, Option<Images>, Left), ImageError> {
    let read = |name: &String| folder::read(&folder.join(name), &schema.target.classes, shape);
    let mut train = match site.train.first() {
        Some(name) => read(name)?,
        None => folder::read(folder, &schema.target.classes, shape)?,
    };
    for name in site.train.iter().skip(1) {
        train.append(read(name)?);
    }
    let (train, copies) = drop_repeats(train);
    let mut left = Left { copies, others: train.others };
    let Some(name) = site.test.first() else { return Ok((train.images, None, left)) };
    let (test, copies) = drop_copies(&train, read(name)?);
    let (test, repeats) = drop_repeats(test);
    left.copies += copies + repeats;
    left.others += test.others;
    Ok((train.images, Some(test.images), left))
}

fn whole_of(source: Source, train: Images, test: Option<Images>, Left { copies, others }: Left) -> Whole {
    let examples = |images: Images| {
        let size = images.shape.height * images.shape.width * images.shape.channels;
        (Inputs::Images(size, images.pixels.into()), Truth::Classes(images.labels))
    };
    let mut remarks = vec![];
    if copies > 0 {
        remarks.push(format!("{copies} images left out: copies of others"));
    }
    if others > 0 {
        remarks.push(format!("{others} files passed over: their names do not end in .png, .jpg or .jpeg"));
    }
    Whole::of(source, examples(train), test.map(examples), copies, remarks)
}
