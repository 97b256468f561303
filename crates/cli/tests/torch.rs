//! Model files as PyTorch takes them: written by the built binary, read by Python.

use std::process::Command;

/// Holds names, types and shapes against a list of torchvision's, by safetensors and numpy alone; where torchvision is
/// installed, a network of its own loads the file strictly as well.
const READ: &str = r#"
import json, sys
from safetensors.numpy import load_file

file, vectors, name = sys.argv[1:]
found = load_file(file)
cases = json.load(open(vectors))["cases"]
(want,) = ({t["name"]: tuple(t["shape"]) for t in case["tensors"]} for case in cases if case["name"] == name)
assert {name: tensor.shape for name, tensor in found.items()} == want, found.keys() ^ want.keys()
assert {str(tensor.dtype) for tensor in found.values()} == {"float32"}

try:
    import torch, torchvision
except ModuleNotFoundError as error:
    print(f"{error.name} is not installed: names and shapes only")
    sys.exit()
from safetensors.torch import load_file
network = getattr(torchvision.models, name)(num_classes=10)
# As papers have it for small images.
network.conv1 = torch.nn.Conv2d(3, 64, 3, padding=1, bias=False)
network.maxpool = torch.nn.Identity()
state = load_file(file)
network.load_state_dict(state, strict=True)
taken = network.state_dict()
assert all(torch.equal(taken[name], tensor) for name, tensor in state.items())
print("loaded into torchvision's")
"#;

/// The names and shapes are of `vectors/torch_network.py`, which takes them from torchvision.
#[test]
fn needs_python_a_written_resnet_has_torchvisions_names_and_shapes() {
    let python = std::env::var("DURE_PYTHON").expect("set DURE_PYTHON, or leave out the tests called needs_python_…");
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/../learn/tests/vectors/torch_network.json");
    let folder = tempfile::tempdir().unwrap();
    for name in ["resnet18", "resnet50"] {
        let out = folder.path().join(name);
        let mut dure = Command::new(env!("CARGO_BIN_EXE_dure"));
        dure.args(["simulate", &format!("cifar10-{name}"), "--smoke", "--out"]).arg(&out).env_remove("DURE_DATA");
        said(&mut dure);
        let mut read = Command::new(&python);
        print!("{name}: {}", said(read.args(["-c", READ]).arg(out.join("model.safetensors")).args([vectors, name])));
    }
}

/// Standard output of a program that succeeds.
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
