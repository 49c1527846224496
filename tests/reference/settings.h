// A rule's options with the defaults filled in.
#pragma once

#include <string>

#include "tests/reference/replay.h"

namespace muonlab::reference {

class Settings {
 public:
  /// Throws what replay throws.
  Settings(const std::string& rule, const Options& given);

  [[nodiscard]] double number(const std::string& name) const;
  [[nodiscard]] bool flag(const std::string& name) const;
  [[nodiscard]] std::string text(const std::string& name) const;
  [[nodiscard]] const Options& all() const { return values_; }

 private:
  Options values_;
};

}  // namespace muonlab::reference
