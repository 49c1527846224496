// One table per configuration: parser, defaults, help, TOML and JSON all come
// from it, so they cannot drift apart.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "muonlab/formats/json.h"

namespace muonlab::train {

/// A configuration's fields: dotted key, pointer to the value, explanation.
/// The configuration must outlive the table. An empty optional means "not
/// set", which is not the same as "set to the default".
class Fields {
 public:
  using Target =
      std::variant<std::int64_t*, double*, bool*, std::string*,
                   std::optional<std::int64_t>*, std::optional<double>*,
                   std::optional<bool>*, std::optional<std::string>*>;

  struct Field {
    std::string key;  ///< "model.width"
    Target target;
    std::string about;
  };

  void add(std::string key, Target target, std::string about);

  [[nodiscard]] const std::vector<Field>& all() const { return fields_; }
  [[nodiscard]] std::vector<std::string> keys() const;

  /// Sets one field. `where` ("quick.toml:12", "--set") begins the message of
  /// the Error(kInvalidArgument) on an unknown key (nearest name suggested) or
  /// a value of the wrong type.
  void set(std::string_view key, const formats::Json& value,
           std::string_view where);
  /// "a.b=value"; the value is read as TOML, or else as a bare string.
  void set_override(std::string_view assignment);

  /// {"model": {"width": 128, ...}, ...}; fields that are not set are left out.
  [[nodiscard]] formats::Json to_json() const;
  /// The same as TOML, with the explanations as comments if asked for.
  [[nodiscard]] std::string to_toml(bool comments) const;

 private:
  std::vector<Field> fields_;
};

/// A TOML file as JSON values, each with its line.
struct TomlFile {
  struct Entry {
    std::string key;  ///< dotted
    formats::Json value;
    std::int64_t line = 0;
    std::vector<std::int64_t> item_lines;  ///< of an array's items
  };
  std::filesystem::path path;
  std::vector<Entry> entries;  ///< leaves; an array of tables is one entry
};

/// Throws Error(kIo), or Error(kInvalidArgument) with the line of a syntax
/// error.
[[nodiscard]] TomlFile read_toml(const std::filesystem::path& path);
/// Reads one TOML value ("1e-3", "[1, 2]", "\"x\"", "true"); nullopt when the
/// text is none.
[[nodiscard]] std::optional<formats::Json> parse_toml_value(
    std::string_view text);

}  // namespace muonlab::train
