//! Files that cross to Python's safetensors and back. `vectors/make.py` wrote the files that are read here.

use std::{path::Path, process::Command, sync::Arc};

use dure_core::{
    codec::Codec,
    digest::Digest,
    model::{Initial, Layout, Params, TensorSpec},
    update::{DELTA, Update, Weight},
};
use dure_wire::{Expected, decode_model, decode_update, encode_model, encode_update};
use serde_json::{Value, json};

const VALUES: [f32; 8] = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.5, -1024.0];

fn layout() -> Arc<Layout> {
    let tensor = |name: &str, shape: &[usize]| {
        let initial = Initial::Zeros;
        TensorSpec::new(name, shape, initial)
    };
    Arc::new(Layout::new(vec![tensor("layers.0.weight", &[2, 3]), tensor("layers.0.bias", &[2])]).unwrap())
}

fn params() -> Params {
    Params::new(layout(), VALUES.into()).unwrap()
}

fn update() -> Update {
    let mut update = Update::of_delta(params(), Weight::new(24.0).unwrap());
    update.scalars.insert("train_loss".into(), 0.25);
    update
}

fn vector(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name)).unwrap()
}

#[test]
fn pythons_updates_are_read() {
    let files = [
        ("python_update_f32.safetensors", Codec::F32),
        ("python_update_bf16.safetensors", Codec::Bf16),
        ("python_update_by_hand.safetensors", Codec::F32),
    ];
    for (file, codec) in files {
        let (layout, scalars, base) = (layout(), ["train_loss".into()], Digest::of(b"base"));
        let expected = Expected { layout: &layout, groups: &[DELTA], scalars: &scalars, codec, base };
        assert_eq!(decode_update(&vector(file), &expected, None), Ok(update()), "{file}");
    }
}

#[test]
fn pythons_model_is_read() {
    let about = json!({"target": "calories", "means": [0.1, 3]});
    for layout in [None, Some(&layout())] {
        let (got, said) = decode_model(&vector("python_model.safetensors"), layout, 1000, None).unwrap();
        assert_eq!((got, Value::Object(said)), (params(), about.clone()));
    }
}

/// What Python's safetensors finds in a file of these bytes.
fn read_in_python(bytes: &[u8]) -> Value {
    let python = std::env::var_os("DURE_PYTHON").expect(
        "set DURE_PYTHON to a Python that has numpy and safetensors, or leave out the tests called needs_python_…",
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ours.safetensors");
    std::fs::write(&file, bytes).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/read.py");
    let output = Command::new(python).arg(script).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn needs_python_to_read_our_files() {
    let tensors = |prefix: &str| {
        json!({
            format!("{prefix}layers.0.weight"): {"shape": [2, 3], "values": VALUES[..6]},
            format!("{prefix}layers.0.bias"): {"shape": [2], "values": VALUES[6..]},
        })
    };
    let base = Digest::of(b"base");
    for (codec, name) in [(Codec::F32, "f32"), (Codec::Bf16, "bf16")] {
        let scalars = json!({"train_loss": 0.25});
        let about =
            json!({"base": base, "codec": name, "kind": "update", "scalars": scalars, "version": 1, "weight": 24.0});
        let want = json!({"tensors": tensors("delta/"), "about": about, "other metadata": {}});
        assert_eq!(read_in_python(&encode_update(&update(), codec, base)), want);
    }
    let Value::Object(said) = json!({"target": "calories", "classes": ["no", "yes"]}) else { unreachable!() };
    let order = ["layers.0.weight", "layers.0.bias"];
    let about = json!({"about": said, "kind": "model", "order": order, "version": 1});
    let want = json!({"tensors": tensors(""), "about": about, "other metadata": {}});
    assert_eq!(read_in_python(&encode_model(&params(), &said)), want);
}
