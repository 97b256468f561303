//! The real data sets, where `DURE_DATA` names the folder of data sets. Their twins on made-up data are beside the loaders.

use std::{collections::BTreeMap, io::Read as _, path::PathBuf};

use dure_core::digest::Digest;
use dure_learn::data::{
    cifar, folder, idx,
    images::{ImageShape, Images},
    vitals,
};

fn data(name: &str) -> PathBuf {
    let folder = std::env::var_os("DURE_DATA").expect("set DURE_DATA to the folder that holds the data sets");
    PathBuf::from(folder).join(name)
}

fn counts(images: &Images, classes: usize) -> Vec<usize> {
    (0..classes).map(|class| images.labels.iter().filter(|label| usize::from(**label) == class).count()).collect()
}

/// The means of the training pixels that everybody divides by, 0.1307 and 0.2860, and 60,000 + 10,000 images.
#[test]
fn needs_data_mnist_and_fashion_mnist_have_their_images_and_their_means() {
    for (name, mean, first) in [("mnist", 0.1307, [5, 0, 4]), ("fashion-mnist", 0.2860, [9, 0, 0])] {
        let read = |part: &str| {
            let file = |kind: &str| data(name).join(format!("{part}-{kind}-ubyte.gz"));
            idx::read(&file("images-idx3"), &file("labels-idx1"), 10).unwrap()
        };
        let (train, test) = (read("train"), read("t10k"));
        assert_eq!((train.len(), test.len()), (60_000, 10_000));
        assert_eq!(train.shape, ImageShape { height: 28, width: 28, channels: 1 });
        assert_eq!(train.labels[..3], first);
        let sum: u64 = train.pixels.iter().map(|pixel| u64::from(*pixel)).sum();
        let measured = sum as f64 / train.pixels.len() as f64 / 255.0;
        assert!((measured - mean).abs() < 5e-5, "{measured}");
        assert_eq!(counts(&test, 10).iter().sum::<usize>(), 10_000);
    }
}

#[test]
fn needs_data_cifar_is_balanced_and_has_the_mean_colours_of_its_readme() {
    let train = cifar::read(&[data("cifar10/train_10k.bin.gz")]).unwrap();
    let both = cifar::read(&[data("cifar10/train_10k.bin.gz"), data("cifar10/test_2k.bin.gz")]).unwrap();
    assert_eq!((counts(&train, 10), counts(&both, 10)), (vec![1000; 10], vec![1200; 10]));
    for (channel, want) in [0.489, 0.481, 0.445].into_iter().enumerate() {
        let sum: u64 = train.pixels.iter().skip(channel).step_by(3).map(|pixel| u64::from(*pixel)).sum();
        let mean = sum as f64 / (train.len() * 1024) as f64 / 255.0;
        assert!((mean - want).abs() < 5e-4, "{channel}: {mean}");
    }
}

/// The copies of the originals are copies as PNG files too: 10 pairs, of which 6 are between training and test images, 3
/// among the training images and 1 among the test images.
#[test]
fn needs_data_six_test_x_rays_are_copies_of_training_ones() {
    let classes = ["Covid", "Normal", "Viral_Pneumonia"].map(String::from);
    let shape = ImageShape { height: 64, width: 64, channels: 1 };
    let read = |part: &str| folder::read(&data("covid-cxr").join(part), &classes, shape).unwrap();
    let (train, test) = (read("train"), read("test"));
    assert_eq!((counts(&train.images, 3), counts(&test.images, 3)), (vec![111, 70, 70], vec![26, 20, 20]));
    let (test, copies) = folder::drop_copies(&train, test);
    let (train, repeats) = folder::drop_repeats(train);
    assert_eq!((copies, test.images.len()), (6, 60));
    assert_eq!((repeats, train.images.len()), (3, 248));
    let (test, repeats) = folder::drop_repeats(test);
    assert_eq!((repeats, test.images.len()), (1, 59));
    assert_eq!(Digest::of(&read("test").images.pixels), Digest::of(&read("test").images.pixels));
}

/// Every row of `vitals_hourly.csv.gz`, which another program made, but for the diastolic pressure, which has no points.
#[test]
fn needs_data_the_demos_hourly_rows_are_made_exactly() {
    let hourly = vitals::read(&data("mimic3-demo-vitals/vitalsign.csv.gz"), &BTreeMap::new()).unwrap();
    let mut csv = String::new();
    let packed = std::fs::File::open(data("mimic3-demo-vitals/vitals_hourly.csv.gz")).unwrap();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut csv).unwrap();
    let want: Vec<Vec<&str>> = csv.lines().skip(1).map(|line| line.split(',').collect()).collect();
    assert_eq!((hourly.rows.len(), want.len()), (13_017, 13_017));
    for (row, want) in hourly.rows.iter().zip(&want) {
        assert_eq!([&row.subject, &row.stay, &row.charttime], want[..3], "line {}", row.line);
        let number = |column: usize| want[column].parse::<f64>().unwrap();
        let celsius = (number(3) - 32.0) * 5.0 / 9.0;
        assert!((row.values[0] - celsius).abs() <= 0.005 + 1e-9, "line {}", row.line);
        assert_eq!(row.values[1..], [number(4), number(5), number(6), number(7)], "line {}", row.line);
        assert_eq!(row.news5.to_string(), want[9], "line {}", row.line);
    }
    let dropped = hourly.dropped;
    assert_eq!((dropped.implausible, 13_017 + dropped.incomplete + dropped.replaced), ([0; 5], 17_561));
    let bands: Vec<usize> = (0..4).map(|band| hourly.rows.iter().filter(|row| row.band == band).count()).collect();
    assert_eq!(bands, [1449, 8321, 2323, 924]);
}
