//! The layers of a model as a recipe lists them, and the models that have names.

use std::fmt;

use dure_core::plan::PlanError;
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, SeqAccess, Visitor},
};

/// A layer, in PyTorch's terms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "layer",
    rename_all = "snake_case",
    deny_unknown_fields,
    expecting = "a table such as { layer = \"relu\" }"
)]
pub enum LayerSpec {
    /// A fully connected layer.
    Linear {
        /// What comes out.
        units: usize,
        /// Whether something is added.
        #[serde(default = "yes")]
        bias: bool,
    },
    /// A convolution.
    Conv2d {
        /// What comes out.
        channels: usize,
        /// Rows and columns of the kernel.
        kernel: usize,
        /// Pixels from an output to the next.
        #[serde(default = "one")]
        stride: usize,
        /// Zeros around the image.
        #[serde(default)]
        padding: usize,
        /// Whether something is added.
        #[serde(default = "yes")]
        bias: bool,
    },
    /// Normalisation over the batch.
    BatchNorm {},
    /// Normalisation over groups of an example's channels.
    GroupNorm {
        /// How many groups; they divide the channels.
        groups: usize,
    },
    /// max(0, x).
    Relu {},
    /// 1/(1 + e⁻ˣ).
    Sigmoid {},
    /// tanh x.
    Tanh {},
    /// Drops a share while learning.
    Dropout {
        /// The share, from 0 to below 1.
        rate: f32,
    },
    /// The largest of each window.
    MaxPool {
        /// Rows and columns of a window.
        size: usize,
        /// Pixels from a window to the next; the size, if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stride: Option<usize>,
        /// Pixels around the image.
        #[serde(default)]
        padding: usize,
    },
    /// The mean of each window.
    AveragePool {
        /// Rows and columns of a window.
        size: usize,
        /// Pixels from a window to the next; the size, if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stride: Option<usize>,
    },
    /// The mean of each channel: images of one pixel come out.
    GlobalAveragePool {},
    /// Images become rows of floats, in the order channel, row, column.
    Flatten {},
    /// Two 3 × 3 convolutions and a way round them. He et al. 2016.
    BasicBlock {
        /// What comes out.
        channels: usize,
        /// Pixels from an output to the next.
        #[serde(default = "one")]
        stride: usize,
    },
    /// A 1 × 1, a 3 × 3 and a 1 × 1 convolution to four times the channels, and a way round them. He et al. 2016; the stride
    /// is the 3 × 3 convolution's, as torchvision has it.
    Bottleneck {
        /// Within; four times as many come out.
        channels: usize,
        /// Pixels from an output to the next.
        #[serde(default = "one")]
        stride: usize,
    },
}

fn yes() -> bool {
    true
}

fn one() -> usize {
    1
}

/// Reads layers one after another, and says of which it is that something is wrong.
pub fn in_order<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<LayerSpec>, D::Error> {
    struct Layers;
    impl<'de> Visitor<'de> for Layers {
        type Value = Vec<LayerSpec>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of layers")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
            let mut layers = vec![];
            loop {
                let next = sequence.next_element();
                match next.map_err(|why| A::Error::custom(format!("layers[{}]: {why}", layers.len())))? {
                    Some(layer) => layers.push(layer),
                    None => return Ok(layers),
                }
            }
        }
    }
    from.deserialize_seq(Layers)
}

/// A layer and what its tensors' names begin with.
pub type Named = (String, LayerSpec);

/// A list of layers named as PyTorch's `nn.Sequential` called `layers` names them.
pub fn numbered(layers: impl IntoIterator<Item = LayerSpec>) -> Vec<Named> {
    layers.into_iter().enumerate().map(|(i, layer)| (format!("layers.{i}"), layer)).collect()
}

/// Fully connected layers with a ReLU between them, and none at the end.
pub fn mlp(hidden: &[usize], outputs: usize) -> Vec<Named> {
    let linear = |units: &usize| LayerSpec::Linear { units: *units, bias: true };
    let hidden = hidden.iter().flat_map(|units| [linear(units), LayerSpec::Relu {}]);
    numbered(hidden.chain([linear(&outputs)]))
}

/// The convolutional network of McMahan et al. 2017: two 5 × 5 convolutions with 32 and 64 channels, each with a ReLU and
/// a 2 × 2 max-pool behind it, 512 units, and the outputs.
pub fn cnn(outputs: usize) -> Vec<Named> {
    let conv = |channels| LayerSpec::Conv2d { channels, kernel: 5, stride: 1, padding: 2, bias: true };
    named([
        ("conv1", conv(32)),
        ("", LayerSpec::Relu {}),
        ("", pool()),
        ("conv2", conv(64)),
        ("", LayerSpec::Relu {}),
        ("", pool()),
        ("", LayerSpec::Flatten {}),
        ("fc1", LayerSpec::Linear { units: 512, bias: true }),
        ("", LayerSpec::Relu {}),
        ("fc2", LayerSpec::Linear { units: outputs, bias: true }),
    ])
}

/// The chest X-ray network of a founding system: 3 × 3 convolutions with 32, 64, 128 and 256 channels, each with a ReLU and
/// a 2 × 2 max-pool behind it, then 128, 64 and the outputs.
pub fn cnn_xray(outputs: usize) -> Vec<Named> {
    let mut layers = vec![];
    for (i, channels) in [32, 64, 128, 256].into_iter().enumerate() {
        let conv = LayerSpec::Conv2d { channels, kernel: 3, stride: 1, padding: 1, bias: true };
        layers.extend([(format!("conv{}", i + 1), conv), (String::new(), LayerSpec::Relu {}), (String::new(), pool())]);
    }
    let linear = |units| LayerSpec::Linear { units, bias: true };
    layers.extend(named([
        ("", LayerSpec::Flatten {}),
        ("fc1", linear(128)),
        ("", LayerSpec::Relu {}),
        ("fc2", linear(64)),
        ("", LayerSpec::Relu {}),
        ("fc3", linear(outputs)),
    ]));
    layers
}

/// A residual network for small images: torchvision's tensors, with a 3 × 3 convolution and no pooling at its beginning.
/// `blocks` says how many blocks its four stages have.
pub fn resnet(blocks: [usize; 4], bottleneck: bool, outputs: usize) -> Vec<Named> {
    let stem = LayerSpec::Conv2d { channels: 64, kernel: 3, stride: 1, padding: 1, bias: false };
    let mut layers = named([("conv1", stem), ("bn1", LayerSpec::BatchNorm {}), ("", LayerSpec::Relu {})]);
    for (stage, (count, channels)) in blocks.into_iter().zip([64, 128, 256, 512]).enumerate() {
        for block in 0..count {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let layer = if bottleneck {
                LayerSpec::Bottleneck { channels, stride }
            } else {
                LayerSpec::BasicBlock { channels, stride }
            };
            layers.push((format!("layer{}.{block}", stage + 1), layer));
        }
    }
    layers.extend(named([
        ("", LayerSpec::GlobalAveragePool {}),
        ("", LayerSpec::Flatten {}),
        ("fc", LayerSpec::Linear { units: outputs, bias: true }),
    ]));
    layers
}

fn pool() -> LayerSpec {
    LayerSpec::MaxPool { size: 2, stride: None, padding: 0 }
}

fn named<const N: usize>(layers: [(&str, LayerSpec); N]) -> Vec<Named> {
    layers.map(|(name, layer)| (name.to_owned(), layer)).into()
}

impl LayerSpec {
    /// Holds every number to what it may be.
    pub fn check(&self) -> Result<(), PlanError> {
        let size = |key, value: usize, most: usize| {
            if (1..=most).contains(&value) { Ok(()) } else { Err(PlanError::value(key, value, format!("1 to {most}"))) }
        };
        match *self {
            Self::Linear { units, .. } => size("model.layers.units", units, 1 << 16),
            Self::Conv2d { channels, kernel, stride, padding, .. } => {
                size("model.layers.channels", channels, 1 << 13)?;
                size("model.layers.kernel", kernel, 31)?;
                size("model.layers.stride", stride, 31)?;
                check_padding(padding, kernel)
            }
            Self::GroupNorm { groups } => size("model.layers.groups", groups, 1 << 13),
            Self::Dropout { rate } if !(0.0..1.0).contains(&rate) => {
                Err(PlanError::value("model.layers.rate", rate, "a share from 0 to below 1"))
            }
            Self::MaxPool { size: window, stride, padding } => {
                size("model.layers.size", window, 1 << 10)?;
                size("model.layers.stride", stride.unwrap_or(window), 1 << 10)?;
                check_padding(padding, window)
            }
            Self::AveragePool { size: window, stride } => {
                size("model.layers.size", window, 1 << 10)?;
                size("model.layers.stride", stride.unwrap_or(window), 1 << 10)
            }
            Self::BasicBlock { channels, stride } | Self::Bottleneck { channels, stride } => {
                size("model.layers.channels", channels, 1 << 11)?;
                size("model.layers.stride", stride, 31)
            }
            _ => Ok(()),
        }
    }
}

/// A window that lies wholly in the padding would see nothing.
fn check_padding(padding: usize, window: usize) -> Result<(), PlanError> {
    if padding < window {
        return Ok(());
    }
    Err(PlanError::value("model.layers.padding", padding, format!("less than the window of {window}")))
}
