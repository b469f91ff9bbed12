// How many mappings the process has.
#pragma once

#include <cstddef>
#include <fstream>
#include <string>

inline std::size_t mappings() {
  std::ifstream Maps("/proc/self/maps");
  std::string Line;
  std::size_t Count = 0;
  while (std::getline(Maps, Line))
    ++Count;
  return Count;
}
