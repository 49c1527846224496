// Options of update rules in a configuration: what is set, and nothing else.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "muonlab/optim/options.h"
#include "muonlab/train/fields.h"

namespace muonlab::train {

/// One place for every option that any rule has; an option that a rule does not
/// have is an error when the configuration is resolved.
class RuleSettings {
 public:
  RuleSettings();

  /// Adds a field "PREFIX.option" for each option.
  void add_fields(const std::string& prefix, Fields& fields);

  /// What is set.
  [[nodiscard]] optim::OptionMap given() const;
  /// Sets what is named.
  void fill(const optim::OptionMap& values);

  /// One option; nullopt when it is not set.
  [[nodiscard]] std::optional<double> number(const std::string& name) const {
    return numbers_.at(name);
  }
  [[nodiscard]] std::optional<std::int64_t> integer(
      const std::string& name) const {
    return integers_.at(name);
  }
  [[nodiscard]] std::optional<bool> flag(const std::string& name) const {
    return flags_.at(name);
  }
  [[nodiscard]] std::optional<std::string> word(const std::string& name) const {
    return words_.at(name);
  }

 private:
  std::map<std::string, std::optional<double>> numbers_;
  std::map<std::string, std::optional<std::int64_t>> integers_;
  std::map<std::string, std::optional<bool>> flags_;
  std::map<std::string, std::optional<std::string>> words_;
};

}  // namespace muonlab::train
