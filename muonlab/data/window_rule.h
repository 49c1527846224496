// How a sidecar says that a dataset's held-out windows are windows of its
// training text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "muonlab/data/window_split.h"

namespace muonlab::data {

/// The settings of window_split().
struct WindowRule {
  std::uint64_t seed = 42;
  double held_out = 0.1;  ///< share of the windows

  /// For sidecars: "windows/mt19937/seed=42/held_out=0.1".
  [[nodiscard]] std::string text() const;
  /// What text() wrote; nothing for any other rule.
  [[nodiscard]] static std::optional<WindowRule> parse(std::string_view text);
};

}  // namespace muonlab::data
