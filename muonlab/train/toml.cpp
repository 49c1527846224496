// toml++ stays in this file: its templates are slow to compile.
#include <toml++/toml.h>

#include <sstream>

#include "muonlab/core/error.h"
#include "muonlab/core/files.h"
#include "muonlab/train/fields.h"

namespace muonlab::train {

namespace {

using formats::Json;

Json json_of(const toml::node& node) {
  if (const auto* table = node.as_table()) {
    Json object = Json::object();
    for (const auto& [key, value] : *table) {
      object[std::string(key.str())] = json_of(value);
    }
    return object;
  }
  if (const auto* array = node.as_array()) {
    Json list = Json::array();
    for (const auto& value : *array) list.push_back(json_of(value));
    return list;
  }
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* integer = node.as_integer()) return integer->get();
  if (const auto* real = node.as_floating_point()) {
    return formats::json_number(real->get());
  }
  if (const auto* boolean = node.as_boolean()) return boolean->get();
  std::ostringstream date;  // dates and times: no field takes one
  date << toml::node_view<const toml::node>(node);
  return Json{{"date", date.str()}};
}

std::int64_t line_of(const toml::node& node) {
  return static_cast<std::int64_t>(node.source().begin.line);
}

void flatten(const toml::table& table, const std::string& prefix,
             std::vector<TomlFile::Entry>& entries) {
  for (const auto& [key, value] : table) {
    const std::string name = prefix + std::string(key.str());
    if (const auto* inner = value.as_table()) {
      flatten(*inner, name + ".", entries);
    } else {
      TomlFile::Entry& entry = entries.emplace_back();
      entry.key = name;
      entry.value = json_of(value);
      entry.line = line_of(value);
      if (const auto* array = value.as_array()) {
        for (const auto& item : *array)
          entry.item_lines.push_back(line_of(item));
      }
    }
  }
}

}  // namespace

TomlFile read_toml(const std::filesystem::path& path) {
  TomlFile file{.path = path, .entries = {}};
  try {
    const toml::table table = toml::parse(core::read_file(path), path.string());
    flatten(table, "", file.entries);
  } catch (const toml::parse_error& e) {
    throw Error(ErrorKind::kInvalidArgument,
                concat(path.string(), ":", e.source().begin.line,
                       ": not valid TOML: ", e.description()));
  }
  return file;
}

std::optional<Json> parse_toml_value(std::string_view text) {
  try {
    const toml::table table = toml::parse("value = " + std::string(text));
    if (table.size() != 1) return std::nullopt;
    return json_of(*table.get("value"));
  } catch (const toml::parse_error&) {
    return std::nullopt;
  }
}

}  // namespace muonlab::train
