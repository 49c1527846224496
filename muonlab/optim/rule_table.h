// The presets as a table for people.
#pragma once

#include <string>

namespace muonlab::optim {

/// One line per preset: name, default rate and decay, how its slots are filled.
[[nodiscard]] std::string rule_table();

}  // namespace muonlab::optim
