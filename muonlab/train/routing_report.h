// The routing table of a configuration: for people, for programs, and checked
// against an expectation.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "muonlab/formats/json.h"

namespace muonlab::train {

struct RoutingReport {
  std::string text;
  formats::Json json;
  /// What differs from the file's expectation (see optim::differences); empty
  /// when nothing does. Throws Error(kIo), Error(kCorruptData).
  std::function<std::vector<std::string>(const std::filesystem::path&)>
      differences;
};

/// Of a run's configuration (its dataset must be there, since the vocabulary
/// decides shapes), or of a file that lists [[parameters]].
[[nodiscard]] RoutingReport routing_report(
    const std::filesystem::path& path,
    const std::vector<std::string>& overrides);

}  // namespace muonlab::train
