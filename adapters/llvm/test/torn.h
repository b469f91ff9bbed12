// An address space that other things take.
#pragma once

#include <algorithm>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <sys/mman.h>
#include <vector>

/// Takes what is free within `Reach` of an address, but for holes of four pages between what it takes. The pieces have a megabyte at first.
inline size_t tear(uint64_t Near, uint64_t Reach) {
  const uint64_t Hole = 4 << 12;
  struct Gap {
    uint64_t First, End;
  };
  std::vector<Gap> Gaps;
  std::ifstream Maps("/proc/self/maps");
  std::string Line;
  uint64_t Before = Near > Reach ? Near - Reach : 1 << 20;
  while (std::getline(Maps, Line)) {
    uint64_t First, End;
    if (std::sscanf(Line.c_str(), "%" SCNx64 "-%" SCNx64, &First, &End) != 2)
      continue;
    if (First > Before && Before < Near + Reach)
      Gaps.push_back({Before, std::min(First, Near + Reach)});
    Before = std::max(Before, End);
  }
  size_t Taken = 0;
  for (const Gap &G : Gaps) {
    uint64_t At = G.First;
    while (At + 2 * Hole < G.End) {
      uint64_t Size = std::min<uint64_t>(256 << 20, G.End - At - Hole);
      void *Piece = mmap(reinterpret_cast<void *>(At), Size, PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
      Taken += Piece != MAP_FAILED;
      At += Size + Hole;
    }
  }
  return Taken;
}
