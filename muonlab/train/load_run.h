// Weights and configuration of a run folder.
#pragma once

#include <filesystem>

#include "muonlab/linalg/tensor_file.h"
#include "muonlab/nn/language_model.h"
#include "muonlab/train/run_config.h"

namespace muonlab::train {

/// The model's parameters by name, in module order.
[[nodiscard]] linalg::NamedTensors named_parameters(
    const nn::LanguageModel& model);

/// The configuration that a run folder holds.
[[nodiscard]] RunConfig read_run(const std::filesystem::path& folder);

/// Copies the weights of a safetensors file into the model. Throws
/// Error(kCorruptData) unless names and shapes are exactly the model's.
void load_weights(nn::LanguageModel& model, const std::filesystem::path& path);

}  // namespace muonlab::train
