// The presets for people and programs: `muonlab optim list` and `show`.
#pragma once

#include <string>

#include "muonlab/formats/json.h"
#include "muonlab/optim/presets.h"

namespace muonlab::optim {

/// One line per preset: name, default rate and decay, what it is.
[[nodiscard]] std::string rule_table();
/// Slots with their formulas, options with defaults and ranges, state, source.
[[nodiscard]] std::string rule_page(const Preset& preset);

/// {"name", "about", "source", "lr", "weight_decay", "slots": [{"slot",
/// "formula"}], "options": [{"name", "default", "range", "about"}],
/// "state": [...]}.
[[nodiscard]] formats::Json rule_json(const Preset& preset);

}  // namespace muonlab::optim
