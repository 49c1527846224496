#include "muonlab/train/rule_settings.h"

#include "muonlab/core/error.h"

namespace muonlab::train {

using optim::OptionKind;

RuleSettings::RuleSettings() {
  for (const std::string& name : optim::option_names()) {
    switch (optim::option_help(name).kind) {
      case OptionKind::kNumber:
        numbers_[name];
        break;
      case OptionKind::kInteger:
        integers_[name];
        break;
      case OptionKind::kFlag:
        flags_[name];
        break;
      case OptionKind::kWord:
        words_[name];
        break;
    }
  }
}

void RuleSettings::add_fields(const std::string& prefix, Fields& fields) {
  for (const std::string& name : optim::option_names()) {
    const optim::OptionHelp help = optim::option_help(name);
    const std::string key = prefix + "." + name;
    switch (help.kind) {
      case OptionKind::kNumber:
        fields.add(key, &numbers_.at(name), help.about);
        break;
      case OptionKind::kInteger:
        fields.add(key, &integers_.at(name), help.about);
        break;
      case OptionKind::kFlag:
        fields.add(key, &flags_.at(name), help.about);
        break;
      case OptionKind::kWord:
        fields.add(key, &words_.at(name), help.about);
        break;
    }
  }
}

optim::OptionMap RuleSettings::given() const {
  optim::OptionMap map;
  const auto take = [&](const auto& values) {
    for (const auto& [name, value] : values) {
      if (value) map.emplace(name, *value);
    }
  };
  take(numbers_);
  take(integers_);
  take(flags_);
  take(words_);
  return map;
}

void RuleSettings::fill(const optim::OptionMap& values) {
  for (const auto& [name, value] : values) {
    if (const auto* d = std::get_if<double>(&value)) {
      numbers_.at(name) = *d;
    } else if (const auto* i = std::get_if<std::int64_t>(&value)) {
      integers_.at(name) = *i;
    } else if (const auto* b = std::get_if<bool>(&value)) {
      flags_.at(name) = *b;
    } else {
      words_.at(name) = std::get<std::string>(value);
    }
  }
}

}  // namespace muonlab::train
