// A model as a list of its parameters, for routing tables without code.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "muonlab/optim/plan.h"

namespace muonlab::train {

/// True when the TOML file lists [[parameters]].
[[nodiscard]] bool describes_parameters(const std::filesystem::path& path);

/// The plan of such a file: [[parameters]] with name, shape, role, and if
/// wanted blocks ([{name, rows}], rows in order), dtype ("float32") and frozen;
/// beside it the [optim] section of a run's configuration. Throws
/// Error(kInvalidArgument) with file and key.
[[nodiscard]] optim::Plan described_plan(
    const std::filesystem::path& path,
    const std::vector<std::string>& overrides);

}  // namespace muonlab::train
